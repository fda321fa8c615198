"""The supervisor as an operator meets it: a process that is started, asked, killed."""

import os
import signal
import time
from pathlib import Path

import pytest
from deploy_support import alive, eventually, group_of

from haven_deploy import control
from haven_deploy.data_dir import is_locked
from haven_deploy.errors import NotRunning
from haven_deploy.logs import tail_logs

BROKER = {"name": "broker"}
SERVER = {"name": "server", "options": ["workers=2"], "depends_on": ["broker"]}
GATEWAY = {"name": "gateway", "depends_on": ["server"], "reload_signal": True}


def test_starts_in_order_and_stops_in_reverse(start_stack):
    stack = start_stack(BROKER, SERVER, GATEWAY)
    stack.wait_ready()
    status, stderr = stack.stop(signal.SIGINT)

    assert (status, stderr) == (0, "")
    assert stack.events() == [
        "broker started", "server started", "gateway started", "gateway stopped", "server stopped", "broker stopped",
    ]  # fmt: skip
    assert len(stack.seen) == 6  # three, two workers, the guardian
    assert not alive(stack.seen)
    assert not is_locked(stack.data_dir)


def test_status_names_every_process(start_stack):
    stack = start_stack(BROKER, SERVER)
    stack.wait_ready()
    status = control.read_status(stack.data_dir)

    assert (status.pid, status.state) == (stack.process.pid, "running")
    assert [(process.name, process.state, process.restarts) for process in status.processes] == [
        ("broker", "running", 0),
        ("server", "running", 0),
    ]
    assert all(Path(f"/proc/{process.pid}").exists() for process in status.processes)
    control.stop(stack.data_dir)
    assert control.read_status(stack.data_dir) is None
    with pytest.raises(NotRunning):
        control.stop(stack.data_dir)


def test_output_goes_to_private_log_files(start_stack):
    stack = start_stack(BROKER)
    stack.wait_ready()

    assert stack.log("broker") == "broker is here\n"
    assert {path.stat().st_mode & 0o777 for path in (stack.data_dir / "log").iterdir()} == {0o600}
    assert stack.data_dir.stat().st_mode & 0o777 == 0o700
    assert list(tail_logs(stack.data_dir, names=["broker"])) == [("broker", "broker is here")]


def test_background_work_stands_back(start_stack):
    """Behind what the others do: as a process, and as a session where the kernel weighs those."""
    stack = start_stack(BROKER, {"name": "worker", "options": ["workers=1"], "niceness": 10})
    stack.wait_ready()
    pids = {process.name: process.pid for process in control.read_status(stack.data_dir).processes}

    assert os.getpriority(os.PRIO_PROCESS, pids["worker"]) - os.getpriority(os.PRIO_PROCESS, pids["broker"]) == 10
    autogroup = Path(f"/proc/{pids['worker']}/autogroup")
    assert not autogroup.exists() or autogroup.read_text().endswith("nice 10\n")


def test_crashed_process_and_its_workers_are_replaced(start_stack):
    stack = start_stack(BROKER, SERVER)
    stack.wait_ready()
    server = stack.pid_of("server")
    old = {item for item in stack.seen if group_of(item[0]) == server}
    assert len(old) == 3
    os.kill(server, signal.SIGKILL)

    eventually(
        lambda: stack.pid_of("server") not in (server, None) and stack.status()["processes"][1]["state"] == "running"
    )
    assert not alive(old)
    assert stack.status()["processes"][1]["restarts"] == 1
    assert stack.status()["processes"][0]["restarts"] == 0
    assert "process_crashed name=server signal=SIGKILL restart_in_seconds=0.5" in stack.log()


def test_restarts_back_off(start_stack):
    stack = start_stack({"name": "server", "options": ["fail-late"]})
    stack.wait_ready()
    eventually(lambda: stack.log().count("process_crashed") >= 3)

    delays = [line.rpartition("=")[2] for line in stack.log().splitlines() if "process_crashed" in line]
    assert delays[:3] == ["0.5", "1.0", "2.0"]
    assert stack.stop()[0] == 0


def test_failure_at_start_is_one_line_and_stops_the_rest(start_stack):
    stack = start_stack(BROKER, {"name": "server", "options": ["fail"], "depends_on": ["broker"]})
    _, stderr = stack.process.communicate(timeout=15)

    assert stack.process.returncode == 1
    log = stack.data_dir / "log" / "server.log"
    assert stderr == f"StartFailed: The process server ended at once (exit_status=3). Its output is in {log}.\n"
    assert log.read_text() == "cannot go on\n"
    assert stack.events() == ["broker started", "broker stopped"]


def test_process_that_is_never_ready_fails_the_start(start_stack):
    stack = start_stack({"name": "server", "options": ["sulk"], "start_seconds": 0.5})
    _, stderr = stack.process.communicate(timeout=15)

    assert stderr.startswith("StartFailed: The process server was not ready within 0 s.")


def test_process_that_ignores_the_stop_is_killed_with_its_workers(start_stack):
    stack = start_stack(BROKER, {"name": "server", "options": ["workers=2", "ignore"], "stop_seconds": 0.5})
    stack.wait_ready()
    begin = time.monotonic()
    assert stack.stop()[0] == 0

    assert time.monotonic() - begin < 3
    assert not alive(stack.seen)
    assert "process_killed name=server" in stack.log()


def test_second_interrupt_does_not_wait(start_stack):
    stack = start_stack({"name": "server", "options": ["ignore"], "stop_seconds": 60})
    stack.wait_ready()
    stack.process.send_signal(signal.SIGINT)
    eventually(lambda: stack.status()["state"] == "stopping")

    assert stack.stop(signal.SIGINT, seconds=5)[0] == 0
    assert not alive(stack.seen)


def test_daemons_that_left_their_group_are_killed_at_the_end(start_stack):
    stack = start_stack({"name": "server", "options": ["workers=2", "escape"]})
    stack.wait_ready()
    eventually(lambda: len({os.getsid(pid) for pid, _ in stack.look()}) == 4)
    assert stack.stop()[0] == 0

    assert not alive(stack.seen)


def test_kill_of_the_supervisor_leaves_no_orphan(start_stack):
    stack = start_stack(BROKER, SERVER, {"name": "deaf", "options": ["workers=2", "ignore"]})
    stack.wait_ready()
    assert len(stack.seen) == 8
    stack.stop(signal.SIGKILL)

    eventually(lambda: not alive(stack.seen), 15)
    assert not is_locked(stack.data_dir)


def test_kill_of_supervisor_and_guardian_still_ends_what_listens(start_stack):
    stack = start_stack(BROKER)
    stack.wait_ready()
    os.kill(next(pid for pid, _ in stack.seen if pid != stack.pid_of("broker")), signal.SIGSTOP)  # the guardian
    stack.stop(signal.SIGKILL)

    eventually(lambda: stack.events()[-1] == "broker stopped")


def test_killed_guardian_is_replaced(start_stack):
    stack = start_stack({"name": "deaf", "options": ["workers=1", "ignore"]})
    stack.wait_ready()
    guardian = next(pid for pid, _ in stack.seen if group_of(pid) != stack.pid_of("deaf"))
    os.kill(guardian, signal.SIGKILL)
    eventually(lambda: "guardian_restarted" in stack.log())
    stack.stop(signal.SIGKILL)

    eventually(lambda: not alive(stack.seen), 15)


def test_start_after_a_kill_waits_for_the_remains(start_stack):
    first = start_stack({"name": "deaf", "options": ["ignore"]})
    first.wait_ready()
    first.stop(signal.SIGKILL)
    second = start_stack(BROKER)
    second.wait_ready(20)

    assert not alive(first.seen)
    assert second.stop()[0] == 0


def test_second_supervisor_is_refused(start_stack):
    stack = start_stack(BROKER)
    stack.wait_ready()
    second = start_stack(BROKER)
    _, stderr = second.process.communicate(timeout=10)

    assert stderr == (f"AlreadyRunning: Haven is already running in {stack.data_dir} (process {stack.process.pid}).\n")
    assert stack.events() == ["broker started"]


def test_hangup_reloads_only_what_can_reload(start_stack):
    stack = start_stack(BROKER, SERVER, GATEWAY)
    stack.wait_ready()
    stack.process.send_signal(signal.SIGHUP)

    eventually(lambda: stack.events()[-1] == "gateway reloaded")
    assert stack.events().count("gateway reloaded") == 1
    assert not any("server reloaded" in event or "broker reloaded" in event for event in stack.events())
    assert stack.stop()[0] == 0
