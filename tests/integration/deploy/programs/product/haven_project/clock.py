import os

from celery import Celery

app = Celery("stand-in", broker=f"redis+socket://{os.environ['HAVEN_DATA_DIR']}/run/valkey.sock")
app.conf.broker_connection_retry_on_startup = True
