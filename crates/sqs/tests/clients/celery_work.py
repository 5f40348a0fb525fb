"""A Celery worker that takes its tasks from the embedded queue: run with the endpoint URL. kombu 5.3 writes Query by itself."""

import queue
import sys

import celery
import kombu
from celery.contrib.testing.worker import start_worker

ENDPOINT = sys.argv[1]
app = celery.Celery("work", broker=ENDPOINT.replace("http://", "sqs://test:test@"))
app.conf.broker_transport_options = {"region": "us-east-1", "is_secure": False, "wait_time_seconds": 5}
app.conf.task_default_queue = "celery-work"
app.conf.task_acks_late = True
done = queue.Queue()


@app.task(bind=True, max_retries=1, default_retry_delay=0)
def work(self, number):
    if number == 3 and self.request.retries == 0:
        raise self.retry()
    done.put(number)


with start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR"):
    for number in range(5):
        work.delay(number)
    got = sorted(done.get(timeout=60) for _ in range(5))
assert got == [0, 1, 2, 3, 4], got
print(f"ok   celery {celery.__version__}, kombu {kombu.__version__}")
