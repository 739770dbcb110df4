"""What a pool process works with is taken from it: render processes, memory."""

import contextlib
import resource

import psutil

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.producer import Producer
from worker.local import LocalStack


def render_processes(stack: LocalStack) -> list[psutil.Process]:
    """Return the render processes of a worker that are alive."""
    worker = psutil.Process(stack.processes["worker"].pid)
    pids = []
    for process in worker.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "tasks.rendering.process" in process.cmdline():
                pids.append(process)
    return pids


def test_killed_render_processes_cost_no_answer(producer: Producer, stack: LocalStack) -> None:
    """As by the kernel when memory runs out: at their start, idle and in a render."""
    template = templates.published(producer, "{{ text|length }}", type="sms")
    message = {"template_id": template, "variables": {"text": "a" * 50_000}}
    sent = []
    for _ in range(15):
        sent += [producer.send("render.one", message) for _ in range(4)]
        assert wait_until(lambda: bool(render_processes(stack)), 20)
        for process in render_processes(stack):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    assert [producer.answer(each, 60)["body"] for each in sent] == ["50000"] * len(sent)


def test_a_process_that_runs_out_of_memory_answers(producer: Producer, stack: LocalStack) -> None:
    """Each message is answered, and the worker goes on with the same main process."""
    template = templates.published(producer, "{{ text * 40 }}", type="sms")
    items = [{"key": str(number), "variables": {"text": "a" * 1000}} for number in range(500)]
    message = {"template_id": template, "items": items}
    producer.call("render.batch", message)
    worker = psutil.Process(stack.processes["worker"].pid)
    idle = {process.pid for process in render_processes(stack)}
    pool = [process for process in worker.children() if process.pid not in idle]
    for process in pool:
        process.rlimit(resource.RLIMIT_AS, (process.memory_info().vms + 2**20, -1))
    sent = [producer.send("render.batch", message) for _ in range(4)]
    stored = [producer.stored(each, 60) for each in sent]
    refused = [each["result"] for each in stored if each["status"] == "FAILURE"]
    assert {each["exc_message"][0] for each in refused} <= {"unavailable"}
    assert psutil.Process(stack.processes["worker"].pid) == worker
    for process in worker.children():
        process.rlimit(resource.RLIMIT_AS, (-1, -1))
    assert producer.call("render.batch", message)["rendered"] == 500
