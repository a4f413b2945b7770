"""The Ray executor: workers on the nodes of a cluster.

Ray finds places (cores, memory, shares of GPUs) and tells of lost nodes. Everything else stays ours: a run is a process
of its own, its result a file, and it continues from its checkpoint on any node. A lost node or driver
costs at most the work since the last checkpoint.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconscale.errors import UserError
from reconscale.files import write_atomic
from reconscale.machine import cores
from reconscale.own_parts import loaded_plugins
from reconscale.results.results_folder import Incident
from reconscale.training.executors.base import AnyTask, Attempts, More, Tell, fault_event, write_failure
from reconscale.training.executors.local import GRACE, LocalExecutor, sigterm_as_interrupt
from reconscale.training.executors.ray_worker import DriverActor, RemoteCall, carry_out_here, fetch

if TYPE_CHECKING:
    from reconscale.training.placement import ExecutionConfig

STORE = 200_000_000
"""Bytes of the object store of a cluster that is started here; checkpoints and images pass through it in pieces."""
RUNNING = Path("/tmp/ray/ray_current_cluster")
"""Where Ray notes the cluster that this machine belongs to."""
PATIENCE = 10.0
"""Seconds after which it is said that no node has room."""


@contextmanager
def ray_executor(where: ExecutionConfig, tell: Tell) -> Iterator[RayExecutor]:
    """Slots of a cluster: of the one at an address, of the one that this machine belongs to, or of one started here.

    Raises:
        UserError: Ray is not installed, or there is no cluster at the address.
    """
    address = _running() if where.ray == "auto" else where.ray
    if address is None:  # one is started here; Ray listens on all interfaces: nobody else may send it work
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    ray = _ray()
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        _start(ray, where, quiet)
    else:
        _connect(ray, address, quiet)
    try:
        yield RayExecutor(ray, where, tell)
    finally:
        ray.shutdown()


def _running() -> str | None:
    """The address of the cluster that this machine belongs to; none where there is none, or it is gone."""
    if named := os.environ.get("RAY_ADDRESS"):
        return None if named == "local" else named  # the word with which Ray itself starts one
    try:
        address = RUNNING.read_text().strip()
        _knock(address)
    except (OSError, ValueError):
        return None
    return address


def _ray() -> Any:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UserError(
            "--ray", "needs the package ray, which is not installed", "pip install 'reconscale[ray]'"
        ) from error
    return ray


def _connect(ray: Any, address: str, quiet: dict[str, Any]) -> None:
    try:
        _knock(address)
        ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise UserError("--ray", f"no cluster of Ray answers at '{address}' ({first})",
                      "start one with ray start, or use auto without RAY_ADDRESS") from error  # fmt: skip


def _knock(address: str) -> None:
    """Find out in seconds whether anybody is there: Ray itself tries for minutes.

    Raises:
        ValueError: it is not ``host:port``.
        OSError: nobody answers.
    """
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdigit()) or "/" in host:
        raise ValueError("expected host:port")
    with socket.create_connection((host, int(port)), timeout=10):
        pass


def _start(ray: Any, where: ExecutionConfig, quiet: dict[str, Any]) -> None:
    each = where.threads * where.devices
    workers = where.workers or max(1, cores() // each)
    ray.init(address="local", num_cpus=workers * each, include_dashboard=False, object_store_memory=STORE, **quiet)
    token = Path.home() / ".ray" / "auth_token"
    if token.is_file():
        token.chmod(0o600)  # Ray leaves it readable for everybody


class RayExecutor:
    """Runs tasks in slots of a cluster.

    Args:
        ray: the module, connected.
        where: threads, devices, and what the workers compute on.
        tell: takes the events of the sweep.

    Raises:
        UserError: GPUs are asked for and no node has one.
    """

    measures = True

    def __init__(self, ray: Any, where: ExecutionConfig, tell: Tell) -> None:
        self.ray, self.where, self.tell = ray, where, tell
        total = ray.cluster_resources()
        gpus = int(total.get("GPU", 0))
        if where.device == "cuda" and not gpus:
            raise UserError("--device", "found 'cuda'", "no node of the cluster has a GPU; use --device cpu")
        self.device = where.device if where.device != "auto" else ("cuda" if gpus else "cpu")
        room = gpus if self.device == "cuda" else int(total.get("CPU", 1)) // where.threads
        self.workers = where.workers or max(1, room // where.devices)
        self._attempts = Attempts()
        self._node = ray.get_runtime_context().get_node_id()
        self._line: tuple[Any, Any] | None = None

    def apply(self, function: Callable[..., Any], *arguments: Any, copies: int = 1) -> list[Any]:
        """Call a function in this many fresh processes at the same time, each on a slot; None for one that died.

        Raises:
            UserError: the function raised it.
        """
        slot = self.ray.remote(max_retries=0, **self._resources(0.0, 1.0))(_applied)
        images = next((each for each in arguments if hasattr(each, "files")), None)
        line = None if images is None else self.line(images)
        answers = []
        for ref in [slot.remote((loaded_plugins(), function, arguments), self.device, line) for _ in range(copies)]:
            try:
                answers.append(self.ray.get(ref))
            except self.ray.exceptions.RayTaskError as error:
                raise _of_node(error) from error
            except self.ray.exceptions.RayError:
                answers.append(None)
        for answer in answers:
            if isinstance(answer, UserError):
                raise answer
        return answers

    def carry_out(self, tasks: Sequence[AnyTask], more: More | None = None) -> None:
        """Run all tasks, begun in this order as slots become free, and then what ``more`` gives.

        Runs of lost nodes continue elsewhere.

        Raises:
            KeyboardInterrupt: asked to stop (Ctrl-C or SIGTERM); every run under way has kept its state.
            UserError: results cannot be written, images are not there, a node lacks the package, or Ray ended on this
                machine.
        """
        if not tasks:
            return
        try:
            self._carry_out(tasks, more)
        except self.ray.exceptions.RayError as error:  # those of slots are dealt with where they are heard
            raise UserError("--ray", f"Ray ended on this machine ({type(error).__name__})",
                          "start the command again: runs continue from their last checkpoints") from error  # fmt: skip

    def _carry_out(self, tasks: Sequence[AnyTask], more: More | None) -> None:
        first = tasks[0]
        token = secrets.token_hex(16)
        write_atomic(first.folder.root / ".cluster", token)
        line = self.line(first.images)
        self.ray.get(line.write_below.remote(first.folder.root.resolve()))
        images = self.ray.put(first.images)
        sweep = _Sweep(self, line, token, images)
        try:
            with sigterm_as_interrupt():
                sweep.carry_out(tasks, more)
        except (KeyboardInterrupt, UserError):
            sweep.wind_down()
            raise
        except self.ray.exceptions.RayError as error:
            sweep.tell_of_the_end(type(error).__name__)
            raise
        finally:
            (first.folder.root / ".cluster").unlink(missing_ok=True)

    def line(self, images: Any) -> Any:
        """The actor on this node that slots speak to: see ``DriverActor``. One for all sweeps of the same images."""
        if self._line is None or self._line[0] is not images:
            here = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(self._node, soft=False)
            actor = self.ray.remote(num_cpus=0, max_concurrency=4, scheduling_strategy=here)(DriverActor)
            self._line = images, actor.remote(() if images is None else images.files())
        return self._line[1]

    def is_there(self) -> bool:
        """Whether the part of Ray on this machine is alive: it is asked itself, since others hear of it late."""
        here = [node for node in self.ray.nodes() if node["NodeID"] == self._node and node["Alive"]]
        try:
            for node in here:
                _knock(f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}")
        except OSError:
            return False
        return bool(here)

    def _resources(self, memory: float, share: float) -> dict[str, Any]:
        devices = self.where.devices
        asked: dict[str, Any] = {"num_cpus": self.where.threads * devices}
        if self.device == "cuda":
            return asked | {"num_gpus": devices if devices > 1 else share}
        return asked | ({"memory": int(memory * devices)} if memory else {})


class _Sweep:
    """The runs of one sweep that are under way on a cluster."""

    def __init__(self, cluster: RayExecutor, line: Any, token: str, images: Any) -> None:
        self.cluster, self.ray, self.tell = cluster, cluster.ray, cluster.tell
        self.line, self.token, self.images = line, token, images
        self.slots: dict[Any, AnyTask] = {}
        self.said = time.monotonic()
        self.kept: dict[str, float] = {}
        self.started: set[str] = set()

    def carry_out(self, tasks: Sequence[AnyTask], more: More | None) -> None:
        waiting = list(reversed(tasks))
        while True:
            while waiting and len(self.slots) < self.cluster.workers + BACKLOG:
                self._start(waiting.pop())
            while more and not waiting and len(self.slots) < self.cluster.workers and (task := more()):
                self._start(task)
            if not self.slots:
                break
            ready, _ = self.ray.wait(list(self.slots), timeout=0.5, num_returns=1)
            self._hear()
            for ref in ready:
                waiting += self._end(ref)
            self._say_if_nothing_fits()

    def _start(self, task: AnyTask) -> None:
        asked = self.cluster._resources(task.memory, task.share)
        slot = self.ray.remote(max_retries=0, **asked)(_leased)
        bare = replace(task, images=None)  # type: ignore[type-var]  # the images travel once, not with every run
        self.slots[slot.remote(bare, self.images, self.line, self.token)] = task

    def _hear(self) -> None:
        for event in self.ray.get(self.line.heard.remote()):
            run = event["run"]
            if event["event"] == "start":
                self.started.add(run)
                self.kept[run] = time.monotonic()
            if "kept" in event:
                self.kept[run] = time.monotonic()
                self.cluster._attempts.kept(run, event["kept"])
            self.tell(event)

    def _end(self, ref: Any) -> list[AnyTask]:
        task = self.slots.pop(ref)
        try:
            ended = self.ray.get(ref)
        except self.ray.exceptions.RayTaskError as error:
            raise _of_node(error) from error
        except self.ray.exceptions.RayError as error:  # the slot or its node is gone
            return self._lost(task, type(error).__name__)
        self._hear()
        if "mistake" in ended:
            raise UserError(*ended["mistake"])
        return []

    def _lost(self, task: AnyTask, how: str) -> list[AnyTask]:
        if not self.cluster.is_there():  # new tasks would make Ray end this whole process without a message
            raise self.ray.exceptions.NodeDiedError(how)
        if (result := task.folder.read(task.run, images=False)) is not None:
            self.tell({"event": "end", "run": task.run.id, "status": result.status})
            return []
        name = task.run.id
        lost = round(time.monotonic() - self.kept.get(name, time.monotonic()), 1)
        self.tell(fault_event(Incident(kind="node lost", run=name, detail=how, lost=lost)))
        if self.cluster._attempts.again(name):
            return [task]
        write_failure(task, how)
        self.tell({"event": "end", "run": name, "status": "failed"})
        return []

    def _say_if_nothing_fits(self) -> None:
        """A cluster whose nodes are too small for a run may get others: say what is waited for, and wait."""
        now = time.monotonic()
        if now - self.said < PATIENCE or not self.slots:
            return
        self.said = now
        task = next(iter(self.slots.values()))
        asked = self.cluster._resources(task.memory, task.share)
        needed = {"CPU": asked["num_cpus"], "GPU": asked.get("num_gpus", 0), "memory": asked.get("memory", 0)}
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        if not any(all(node.get(name, 0) >= amount for name, amount in needed.items()) for node in nodes):
            self.tell({"event": "waiting", "run": "", "for": _spelled(asked)})

    def tell_of_the_end(self, how: str) -> None:
        """Name the fault that ends this command: the part of Ray on its own machine is gone, and with it all slots."""
        now = time.monotonic()
        under_way = [task.run.id for task in self.slots.values() if task.run.id in self.started]
        lost = round(sum(now - self.kept[name] for name in under_way), 1)
        self.tell(fault_event(Incident(kind="node lost", detail=f"the one of this command, {how}", lost=lost)))

    def wind_down(self) -> None:
        """Ask all slots to keep the state of their runs and end."""
        self.ray.get(self.line.stop.remote())
        running = [ref for ref, task in self.slots.items() if task.run.id in self.started]
        for ref, task in self.slots.items():
            if task.run.id not in self.started:
                self.ray.cancel(ref, force=True)
        if running:
            self.ray.wait(running, num_returns=len(running), timeout=GRACE)
        self._hear()


BACKLOG = 4
"""Runs that are handed to Ray beyond those that have room: a node that joins finds work, and the order is kept."""


def _leased(task: AnyTask, images: Any, line: Any, token: str) -> dict[str, Any]:
    """What a slot does."""
    return carry_out_here(replace(task, images=images), line, token)  # type: ignore[type-var]


def _applied(asked: tuple[Any, Callable[..., Any], tuple[Any, ...]], device: str, line: Any) -> Any:
    _, function, arguments = asked  # plugins are loaded by being unpickled, before the arguments that may need them
    try:
        if line is not None:
            fetch(RemoteCall(line))
        return LocalExecutor(1, lambda event: None, device=device).apply(function, *arguments)[0]
    except UserError as mistake:
        return mistake


def _of_node(error: Any) -> UserError:
    """What went wrong in a slot itself, in one sentence."""
    last = str(error).strip().splitlines()[-1][:300]
    return UserError("a node of the cluster", f"cannot train a run ({last})",
                   "install the same reconscale with its extras 'train' and 'ray' on all nodes")  # fmt: skip


def _spelled(asked: dict[str, Any]) -> str:
    words = {"num_cpus": "cores", "num_gpus": "of a GPU"}
    parts = [f"{value:g} {words[key]}" for key, value in asked.items() if key in words]
    if "memory" in asked:
        parts.append(f"{asked['memory'] / 1e9:.1f} GB")
    return ", ".join(parts)
