"""WSGI entry point."""

import os

from django.core.wsgi import get_wsgi_application
from django.db import connections

from hotline.checks import refuse_unsound_settings
from kb.segmentation import get_segmenter, load_default_dictionary

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hotline.settings")
application = get_wsgi_application()

from hotline.understanding import understand_question  # noqa: E402  # models, which want the applications

refuse_unsound_settings()
# A second's work that no caller should wait for; forked servers share it.
get_segmenter(load_default_dictionary())
understand_question("楼上漏水怎么办")
connections.close_all()  # the dictionaries came from the database: no connection may be shared by forked servers
