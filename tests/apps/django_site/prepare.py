"""Makes the tables and an administrator: `python -m django_site.prepare`."""
import os

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_site.settings")
django.setup()
call_command("migrate", verbosity=0)

from django.contrib.auth.models import User  # needs the set-up above

User.objects.create_superuser("root", "root@test.example", "secret")
