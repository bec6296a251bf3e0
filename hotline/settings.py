"""Settings. Everything a deployment may change is read here, once, from environment variables (see README)."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from celery.schedules import crontab
from environs import Env

from hotline.memory import usable_megabytes
from hotline.secrets_file import read_or_make_secret

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
env.read_env(os.environ.get("HOTLINE_ENV_FILE", str(BASE_DIR / ".env")), recurse=False)

# --- Where things lie -------------------------------------------------------------------------------------------------
DATA_DIR = Path(env.str("DATA_DIR", str(BASE_DIR / "var")))
MEDIA_ROOT = DATA_DIR / "uploads"
STATIC_ROOT = DATA_DIR / "static"

# --- Safety -----------------------------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", "")
SECRET_KEY_IS_GENERATED = not SECRET_KEY
if SECRET_KEY_IS_GENERATED:  # the embedded set-up makes its own, once; production must set one (hotline.E007)
    SECRET_KEY = read_or_make_secret(DATA_DIR / "secret-key")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
HTTPS_ONLY = env.bool("HTTPS_ONLY", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS_ONLY
SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", False) else None
SESSION_COOKIE_AGE = env.int("SESSION_HOURS", 12) * 3600
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {  # nothing inline, nothing from elsewhere
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- Applications -----------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "rest_framework",
    "rest_framework_api_key",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "kb",
    "hotline",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "csp.middleware.CSPMiddleware",
    "hotline.middleware.drop_nul",
]
ROOT_URLCONF = "hotline.urls"
WSGI_APPLICATION = "hotline.wsgi.application"
ASGI_APPLICATION = "hotline.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTH_USER_MODEL = "hotline.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "console"
LOGOUT_REDIRECT_URL = "login"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "zh-hans"
TIME_ZONE = env.str("TIME_ZONE", "Asia/Shanghai")
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}

# --- Database ---------------------------------------------------------------------------------------------------------
DATABASE_URL = env.str("DATABASE_URL", f"sqlite:///{DATA_DIR / 'hotline.sqlite3'}")
DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=60, conn_health_checks=True)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE: a transaction that will write takes the write lock at its start and waits for it, instead of failing
    # half-way; WAL: readers never wait for the writer.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }

# --- Cache ------------------------------------------------------------------------------------------------------------
REDIS_URL = env.str("REDIS_URL", "")
CACHES = {
    "default": {"BACKEND": "hotline.cache.ForgivingRedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(DATA_DIR / "cache")}
}

# --- Queue ------------------------------------------------------------------------------------------------------------
BROKER_URL = env.str("BROKER_URL", REDIS_URL or "filesystem://localhost")
CELERY_BROKER_URL = BROKER_URL
if urlsplit(BROKER_URL).scheme == "filesystem":
    BROKER_DIR = DATA_DIR / "broker"
    for folder in ("queue", "processed", "control"):  # the transport does not make them
        (BROKER_DIR / folder).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_DIR / "queue"),
        "data_folder_out": str(BROKER_DIR / "queue"),
        "processed_folder": str(BROKER_DIR / "processed"),
        "control_folder": str(BROKER_DIR / "control"),
        "store_processed": False,
        "polling_interval": 0.1,
    }
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "hotline.tasks.rerank_waiting_lookups": {"queue": "rerank"},
    "hotline.tasks.build_fingerprints": {"queue": "embedding"},
    "kb.tasks.parse_upload": {"queue": "parse"},  # a scan takes minutes: nothing else may wait behind it
    "kb.tasks.sync_*": {"queue": "index"},
    "kb.tasks.reindex*": {"queue": "index"},
    "kb.tasks.reconcile*": {"queue": "index"},
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
# Celery kills a new child that has not reported within 4 seconds, but for the first; a child that loads a model first
# would be killed again and again after one crash.
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 900.0
# A child that has needed more (at its peak) ends after the task at hand and another takes its place.
WORKER_MAX_MEMORY_MEGABYTES = env.int("WORKER_MAX_MEMORY_MEGABYTES", 0) or usable_megabytes() * 3 // 5
CELERY_WORKER_MAX_MEMORY_PER_CHILD = WORKER_MAX_MEMORY_MEGABYTES * 1024  # KiB
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker waits for its broker however long it is away
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = TIME_ZONE
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.05, "interval_max": 0.2}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "sweep-lookups": {"task": "hotline.tasks.rerank_waiting_lookups", "schedule": 10.0, "options": {"expires": 10}},
    "sweep-uploads": {"task": "kb.tasks.sweep_uploads", "schedule": 30.0, "options": {"expires": 30}},
    "sweep-documents": {"task": "kb.tasks.sync_stale_documents", "schedule": 30.0, "options": {"expires": 30}},
    "sweep-dictionary-trials": {"task": "hotline.tasks.try_dictionaries", "schedule": 30.0, "options": {"expires": 30}},
    "sweep-rebuilds": {"task": "kb.tasks.reindex_all", "schedule": 60.0, "options": {"expires": 60}},
    "sweep-lab-runs": {"task": "hotline.tasks.sweep_lab_runs", "schedule": 60.0, "options": {"expires": 60}},
    "sweep-golden-runs": {"task": "hotline.tasks.compare_waiting_runs", "schedule": 60.0, "options": {"expires": 60}},
    "learn-from-use": {
        "task": "hotline.tasks.learn_from_use",
        "schedule": crontab(hour="3", minute="30"),
        "options": {"expires": 3600},
    },
    "reconcile-index": {"task": "kb.tasks.reconcile_index", "schedule": 86_400.0, "options": {"expires": 3600}},
}

# --- Search engine ----------------------------------------------------------------------------------------------------
# file:///folder (embedded) or http(s)://user:password@host:9200
SEARCH_URL = env.str("SEARCH_URL", f"file://{DATA_DIR / 'index'}")
SEARCH_INDEX_PREFIX = env.str("SEARCH_INDEX_PREFIX", "hotline-policies")
SEARCH_TIMEOUT_SECONDS = env.float("SEARCH_TIMEOUT_SECONDS", 5.0)
if urlsplit(SEARCH_URL).scheme in {"http", "https"}:
    INSTALLED_APPS.insert(-2, "django_elasticsearch_dsl")
    ELASTICSEARCH_DSL = {"default": {"hosts": SEARCH_URL, "request_timeout": SEARCH_TIMEOUT_SECONDS}}
    ELASTICSEARCH_DSL_AUTOSYNC = False
    ELASTICSEARCH_DSL_AUTO_REFRESH = False

# --- Retrieval and reranking ------------------------------------------------------------------------------------------
CANDIDATE_LIMIT = env.int("CANDIDATE_LIMIT", 50)  # documents handed to the reranker, 20 to 50
RESULT_LIMIT = env.int("RESULT_LIMIT", 10)  # documents shown and kept in full
COMPOSE_PROFILES: list[str] = env.list("COMPOSE_PROFILES", [])  # which workers docker/compose.yaml starts
# lexical | auto | qwen | remote | none
RERANKER = env.str("RERANKER", "") or ("auto" if "gpu" in COMPOSE_PROFILES else "lexical")
RERANKER_MODEL = env.str("RERANKER_MODEL", "Qwen/Qwen3-Reranker-0.6B")  # a folder or a hub id
RERANKER_SOURCE = env.str("RERANKER_SOURCE", "auto")  # auto | folder | huggingface | modelscope
RERANKER_DEVICE = env.str("RERANKER_DEVICE", "auto")
RERANKER_DTYPE = env.str("RERANKER_DTYPE", "auto")
RERANKER_INT8 = env.bool("RERANKER_INT8", False)
RERANKER_THREADS = env.int("RERANKER_THREADS", 0)  # 0: as many as torch takes
RERANKER_TRIM = env.bool("RERANKER_TRIM", False)  # long passages cut to the sentences around the best matches
if RERANKER not in {"lexical", "none"}:
    CELERY_TASK_ROUTES["hotline.tasks.work_on_lab_run"] = {"queue": "rerank"}  # where the model is loaded
WARM_UP_RERANKER = env.bool("WARM_UP_RERANKER", False)  # in workers of the rerank queue: load before the first task
RERANKER_MAX_LENGTH = env.int("RERANKER_MAX_LENGTH", 8192)
RERANKER_URL = env.str("RERANKER_URL", "")
RERANKER_API = env.str("RERANKER_API", "hotline")  # hotline | tei | v1: the shapes that RERANKER_URL speaks
RERANKER_TEMPLATE = env.str("RERANKER_TEMPLATE", "")  # host | client: who applies the prompt template (tei, v1)
RERANKER_API_KEY = env.str("RERANKER_API_KEY", "")
RERANKER_MAX_DOCUMENTS = env.int("RERANKER_MAX_DOCUMENTS", 0)  # of one request to RERANKER_URL; 0: 32 for tei, else all
RERANKER_MAX_DOCUMENT_CHARACTERS = env.int("RERANKER_MAX_DOCUMENT_CHARACTERS", 0)  # longer texts are cut; 0: whole
RERANK_LATENCY_BUDGET_SECONDS = env.float("RERANK_LATENCY_BUDGET_SECONDS", 3.0)
RERANK_BATCH_LOOKUPS = env.int("RERANK_BATCH_LOOKUPS", 16)
RERANK_CPU_BATCH_LOOKUPS = env.int("RERANK_CPU_BATCH_LOOKUPS", 2)  # where a model runs on the processor
RERANK_LEASE_SECONDS = env.float("RERANK_LEASE_SECONDS", 60.0)
LEXICAL_MODEL_FILE = env.str("LEXICAL_MODEL_FILE", "")  # coefficients fitted on the city's own questions

# --- Recall by meaning (both empty: off) ------------------------------------------------------------------------------
EMBEDDING_MODEL = env.str("EMBEDDING_MODEL", "")  # a folder or a hub id: makes the fingerprints of passages
EMBEDDING_URL = env.str("EMBEDDING_URL", "")  # /v1/embeddings is appended: embeds questions
EMBEDDING_API_KEY = env.str("EMBEDDING_API_KEY", "")
if EMBEDDING_MODEL or EMBEDDING_URL:
    CELERY_BEAT_SCHEDULE["build-fingerprints"] = {
        "task": "hotline.tasks.build_fingerprints",
        "schedule": 60.0,
        "options": {"expires": 60},
    }

# --- Rewrites by a language model (REWRITE_URL empty: by dictionaries alone) ------------------------------------------
REWRITE_URL = env.str("REWRITE_URL", "")  # /chat/completions is appended
REWRITE_MODEL = env.str("REWRITE_MODEL", "")
REWRITE_API_KEY = env.str("REWRITE_API_KEY", "")
REWRITE_TIMEOUT_SECONDS = env.float("REWRITE_TIMEOUT_SECONDS", 8.0)

# --- Score gap and secondary review (None: the value that belongs to the reranker's revision) -------------------------
GAP_BASE_THRESHOLD = env.float("GAP_BASE_THRESHOLD", 0.8)
LOW_BEST_RELEVANCE = env.float("LOW_BEST_RELEVANCE", 0.5)
FIRST_SHARE_THRESHOLD = env.float("FIRST_SHARE_THRESHOLD", None)
REVIEW_SAMPLE_PERCENT = env.float("REVIEW_SAMPLE_PERCENT", 1.0)  # of undoubted lookups; thresholds learn from them

# --- Uploads ----------------------------------------------------------------------------------------------------------
UPLOAD_MAX_MEGABYTES = env.int("UPLOAD_MAX_MEGABYTES", 50)
DATA_UPLOAD_MAX_NUMBER_FILES = 200
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# --- API --------------------------------------------------------------------------------------------------------------
API_RATE_LIMIT = env.str("API_RATE_LIMIT", "600/min")
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "hotline.api.authentication.APIKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["hotline.api.permissions.HasScope"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PARSER_CLASSES": [
        "hotline.api.parsers.JSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "hotline.api.pagination.Pagination",
    "DEFAULT_THROTTLE_CLASSES": ["hotline.api.throttling.KeyRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"key": API_RATE_LIMIT},
    "EXCEPTION_HANDLER": "hotline.api.errors.handle_exception",
    "PAGE_SIZE": 20,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "12345 热线知识助手 API",
    "DESCRIPTION": "供工单系统调用：提交工单、提问、读取带高亮的答案、重排、上传政策文件。",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "TicketState": "hotline.models.Ticket.State",
        "LookupState": "hotline.models.Lookup.State",
        "LabRunState": "hotline.models.LabRun.State",
        "ReviewState": "hotline.models.SecondaryReview.State",
        "VersionState": "kb.models.DocumentVersion.State",
        "UploadState": "kb.models.Upload.State",
    },
}

# --- Logs: times, levels and ids; never a question's text -------------------------------------------------------------
LOG_LEVEL = env.str("LOG_LEVEL", "INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    # at INFO the one logs every request, the other how it was loaded
    "loggers": {"elastic_transport": {"level": "WARNING"}, "faiss": {"level": "WARNING"}},
}

SILENCED_SYSTEM_CHECKS: list[str] = []
