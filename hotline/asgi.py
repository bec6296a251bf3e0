"""ASGI entry point."""

import os

from django.core.asgi import get_asgi_application

from hotline.checks import refuse_unsound_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hotline.settings")
application = get_asgi_application()
refuse_unsound_settings()
