"""The distribution API (/v2): a bare WSGI callable with its own small router. Django's ORM and settings are shared, its
request handling is not on this path."""
