"""The desk: users, tickets, lookups with their results, secondary reviews, feedback, API keys and the audit trail."""

from hotline.models.api import APIKey, AuditEvent
from hotline.models.golden import GoldenQuestion, GoldenRun, LexicalModelVersion, SavedSettings
from hotline.models.lab import KnowledgeGap, LabComparison, LabRow, LabRun
from hotline.models.lookups import InstructionTemplate, Lookup, QueryVariant, RerankJob, Result, ResultPassage
from hotline.models.people import User
from hotline.models.reviews import Feedback, SecondaryReview
from hotline.models.tickets import Ticket

__all__ = [
    "APIKey",
    "AuditEvent",
    "Feedback",
    "GoldenQuestion",
    "GoldenRun",
    "InstructionTemplate",
    "KnowledgeGap",
    "LabComparison",
    "LabRow",
    "LabRun",
    "LexicalModelVersion",
    "Lookup",
    "QueryVariant",
    "RerankJob",
    "Result",
    "ResultPassage",
    "SavedSettings",
    "SecondaryReview",
    "Ticket",
    "User",
]
