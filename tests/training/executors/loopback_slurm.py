"""A real Slurm on this machine alone: no root service, no munge, nothing listens beyond loopback.

    python tests/training/executors/loopback_slurm.py fetch .slurm-loopback  # Debian: unpack the packages, once
    python tests/training/executors/loopback_slurm.py shell .slurm-loopback  # a shell in which sbatch and squeue work

The tests use it where ``RECONSCALE_SLURM`` names such a folder, or where slurmctld and slurmd are installed.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PACKAGES = (
    "slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins", "libmunge2", "libhwloc15", "liblua5.1-0",
    "libjson-c5", "libdbus-1-3", "libyaml-0-2", "libnuma1",
)  # fmt: skip
CONFIG = """
ClusterName=loopback
SlurmctldHost=localhost(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
AuthInfo=cred_expire=5
CredType=cred/none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
PluginDir={plugins}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=bf_interval=2,sched_min_interval=200000
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=15
MaxArraySize=1001
NodeName=localhost NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN
PartitionName=low Nodes=localhost Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=10
PartitionName=high Nodes=localhost MaxTime=INFINITE State=UP PriorityTier=2
"""


@dataclass(frozen=True)
class Binaries:
    """Where the programs of Slurm are."""

    controller: Path
    node: Path
    step: Path
    commands: Path
    plugins: Path
    libraries: tuple[Path, ...]


def find() -> Binaries | str:
    """The programs, or why they are not here."""
    named = os.environ.get("RECONSCALE_SLURM")
    root = Path(named).resolve() if named else Path("/")
    programs = [
        next((path for name in (f"{stem}-wlm", stem) if (path := root / "usr/sbin" / name).is_file()), None)
        for stem in ("slurmctld", "slurmd", "slurmstepd")
    ]
    plugins = next(root.glob("usr/lib/*/slurm-wlm"), None)
    if None in programs or plugins is None or not (root / "usr/bin/sbatch").is_file():
        where = f"in RECONSCALE_SLURM={named}" if named else "installed (see `make slurm-loopback`)"
        return f"slurmctld, slurmd and sbatch are not {where}"
    controller, node, step = (path for path in programs if path)
    return Binaries(controller, node, step, root / "usr/bin", plugins, (plugins.parent, plugins))


@contextmanager
def running(binaries: Binaries, folder: Path) -> Iterator[dict[str, str]]:
    """Start it in ``folder``; gives the environment in which its commands work, and ends it afterwards."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    ports = [_free_port(), _free_port()]
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(user=getpass.getuser(), folder=folder, plugins=binaries.plugins,
                                    controller_port=ports[0], node_port=ports[1]))  # fmt: skip
    environment = os.environ | {
        "SLURM_CONF": str(config),
        "PATH": f"{binaries.commands}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": ":".join(map(str, binaries.libraries)),
    }
    commands = (
        [binaries.controller, "-D", "-c", "-f", config],
        [binaries.node, "-D", "-c", "-f", config, "-N", "localhost", "-d", binaries.step],
    )
    log = (folder / "daemons.log").open("wb")
    started = [subprocess.Popen([str(word) for word in command], env=environment, stdout=log, stderr=log,
                                start_new_session=True) for command in commands]  # fmt: skip
    try:
        _wait_until_idle(environment, folder)
        yield environment
    finally:
        subprocess.run(["scancel", "--user", getpass.getuser()], env=environment, capture_output=True, check=False)
        time.sleep(1)
        _end_steps(binaries.step, config)
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
        for process in started:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        log.close()


def _end_steps(step: Path, config: Path) -> None:
    """End the step daemons of this Slurm, which would outlive it."""
    ours = f"SLURM_CONF={config}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "exe").readlink() != step.resolve() or ours not in (entry / "environ").read_bytes().split(
                b"\0"
            ):
                continue
        except OSError:
            continue
        os.kill(int(entry.name), signal.SIGKILL)


def _wait_until_idle(environment: dict[str, str], folder: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        told = subprocess.run(["sinfo", "--noheader", "--format=%T"], env=environment, capture_output=True, text=True,
                              check=False)  # fmt: skip
        if "idle" in told.stdout:
            return
        time.sleep(0.5)
    logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in folder.glob("*.log"))
    raise RuntimeError(f"the loopback Slurm did not start: {told.stdout} {told.stderr}\n{logs}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch(folder: Path) -> None:
    """Download Debian's packages and unpack them into ``folder``; nothing is installed."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise SystemExit("apt-get and dpkg are not here: this works on Debian and Ubuntu")
    packages = folder / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", *PACKAGES], cwd=packages, check=True)
    for package in sorted(packages.glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    print(f"now: RECONSCALE_SLURM={folder.resolve()} pytest tests/training/executors/test_slurm.py")


def main() -> None:
    """Fetch, or open a shell."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("fetch", "shell"):
        raise SystemExit(__doc__)
    folder = Path(sys.argv[2])
    if sys.argv[1] == "fetch":
        fetch(folder)
        return
    import tempfile

    os.environ["RECONSCALE_SLURM"] = str(folder)
    binaries = find()
    if isinstance(binaries, str):
        raise SystemExit(binaries)
    with tempfile.TemporaryDirectory() as place, running(binaries, Path(place)) as environment:
        subprocess.run([os.environ.get("SHELL", "/bin/bash")], env=environment, check=False)


if __name__ == "__main__":
    main()
