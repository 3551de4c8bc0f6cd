"""What gunicorn serves: ``gunicorn web.wsgi:app --worker-class gthread --threads N``.

Not with ``--preload``: connections must be opened by the process that uses them.
"""

from core import tracing
from core.log import configure
from core.settings import get_settings
from web.app import create_app

_settings = get_settings()
configure(_settings.log_level, _settings.log_format)
tracing.configure(_settings.otlp_endpoint, "emobatch-web")
app = create_app(_settings)
