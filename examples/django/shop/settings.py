"""Django's settings; the database is the one that FAREGATE_DATABASE_URL names."""

import os

from psycopg.conninfo import conninfo_to_dict

connection = conninfo_to_dict(os.environ["FAREGATE_DATABASE_URL"])
DATABASES = {
    "default": {"ENGINE": "django.db.backends.postgresql", "NAME": connection.pop("dbname"), "OPTIONS": connection}
}
SECRET_KEY = os.environ.get("SHOP_SECRET_KEY", "for development only")
DEBUG = False
ALLOWED_HOSTS = ["localhost"]
INSTALLED_APPS = ["shop"]
ROOT_URLCONF = "shop.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
