"""The product's settings for tests: data in a folder of its own, no broker process, fast passwords.

DATABASE_URL, SEARCH_URL and REDIS_URL from the environment run the same tests on the production servers.
"""

import os
import tempfile

os.environ["HOTLINE_ENV_FILE"] = os.devnull  # a developer's .env is not a test's
os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="hotline-tests-")
os.environ.setdefault("BROKER_URL", "memory://")
os.environ.setdefault("SEARCH_INDEX_PREFIX", f"hotline-tests-{os.getpid()}")

from hotline.settings import *  # noqa: F403
from hotline.settings import DATABASES, STATIC_ROOT

STATIC_ROOT.mkdir(parents=True)  # whitenoise wants it to be there

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SECRET_KEY = "for tests alone"
SECRET_KEY_IS_GENERATED = False
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: threads of one test (live server, workers) share it.
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(os.environ["DATA_DIR"], "test.sqlite3")}  # noqa: PTH118
REVIEW_SAMPLE_PERCENT = 0.0  # a test that wants lookups drawn at random says so
