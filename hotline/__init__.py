"""The hotline desk and the project that puts kb and reranking together."""

from hotline.celery import app as celery_app

__all__ = ["celery_app"]
