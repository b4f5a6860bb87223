"""A matrix on a real Slurm: three nodes on this machine, tasks that run out of time, tasks and a node that are killed.

usage: slurm_test.py PROGRAM

Starts munged, slurmctld and three slurmd of its own in a scratch folder, on ports of its own. Skipped (status 77) where
they are not installed or cannot be started.
"""
import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

MATRIX = """[matrix]
name = "tiny"
seeds = [0, 1]
[[pretrain]]
encoder = { plugin = "resnet-tiny", width = 4 }
dataset = { plugin = "procedural", split = "pretrain", classes = 4, per_class = 40 }
noise   = { plugin = "symmetric", ratio = [0.0, 0.3] }
optim   = { epochs = EPOCHS, batch_size = 32, lr = 0.05 }
[[task]]
name  = "general"
train = { plugin = "procedural", classes = 4, per_class = 80 }
[[task.test]]
kind = "id"
data = { plugin = "procedural", split = "test", classes = 4, per_class = 10 }
[[tuner]]
plugin = "linear-probe"
epochs = 5
[[tuner]]
plugin = "mlp"
epochs = 2
"""
NODES = 3


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def wait_for(what, condition, seconds=600):
    end = time.time() + seconds
    while time.time() < end:
        if condition():
            return
        time.sleep(0.5)
    sys.exit(f"waited {seconds} s in vain for: {what}")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Slurm:
    """One controller and three nodes on this machine."""

    def __init__(self, folder):
        for tool in ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue"):
            if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin"):
                skip(f"{tool} is not installed (Debian: apt-get install slurm-wlm munge)")
        if os.geteuid() != 0:
            skip("only root can start Slurm's daemons")
        self.folder, self.processes = folder, {}
        controller, *nodes = free_ports(1 + NODES)
        host = socket.gethostname().split(".")[0]
        lines = "".join(f"NodeName=n{i} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2\n"
                        for i, port in enumerate(nodes, 1))
        with open(f"{folder}/slurm.conf", "w") as out:
            out.write(f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
ReturnToService=2
MpiDefault=none
SlurmdTimeout=10
KillWait=5
{lines}PartitionName=p Nodes=ALL Default=YES MaxTime=INFINITE State=UP
""")
        os.environ["SLURM_CONF"] = f"{folder}/slurm.conf"
        os.makedirs(f"{folder}/state")
        with open(f"{folder}/munge.key", "wb") as key:
            key.write(os.urandom(128))
        os.chmod(f"{folder}/munge.key", 0o600)
        self.start("munged", "--force", "--foreground", f"--socket={folder}/munge.sock", f"--key-file={folder}/munge.key",
                   f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed")
        time.sleep(1)
        self.start("slurmctld", "-D")
        time.sleep(1)
        for i in range(1, NODES + 1):
            self.start_node(i)
        end = time.time() + 30
        while self.ask("sinfo", "-h", "-t", "idle", "-o", "%D").strip() != str(NODES):
            if time.time() > end:
                skip("Slurm's daemons do not come up here")
            time.sleep(0.5)

    def start(self, *command, name=None):
        log = open(f"{self.folder}/{name or command[0]}.out", "a")
        environment = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin")
        self.processes[name or command[0]] = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def start_node(self, i):
        self.start("slurmd", "-D", "-N", f"n{i}", name=f"n{i}")

    def ask(self, *command):
        return subprocess.run(command, capture_output=True, text=True).stdout

    def idle(self):
        return self.ask("squeue", "-h", "-o", "%i").strip() == ""

    # As if its machine lost power: the daemon and all that runs on it are gone.
    def kill_node(self, i):
        self.processes[f"n{i}"].kill()
        self.processes[f"n{i}"].wait()
        for process in of_node(i):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def stop(self):
        subprocess.run(["scancel", "--user=root"], capture_output=True)
        for process in reversed(list(self.processes.values())):
            process.terminate()
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)


# Processes of jobs on a node: Slurm gives them its name in the environment.
def of_node(i):
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{process}/environ", "rb") as environ:
                words = environ.read().split(b"\0")
            if f"SLURMD_NODENAME=n{i}".encode() in words and f"SLURM_CONF={os.environ['SLURM_CONF']}".encode() in words:
                found.append(int(process))
    return found


class Shared:
    """A folder that all nodes see."""

    def __init__(self, program, folder, epochs):
        self.program, self.folder = program, folder
        os.makedirs(folder)
        with open(f"{folder}/tiny.toml", "w") as out:
            out.write(MATRIX.replace("EPOCHS", str(epochs)))
        self.environment = dict(os.environ, NMLBENCH_CACHE_DIR=f"{folder}/cache", XDG_DATA_HOME=f"{folder}/data",
                                OMP_WAIT_POLICY="passive", NMLBENCH_THREADS="1")

    def call(self, *arguments, status=0):
        done = subprocess.run([self.program, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True)
        if done.returncode != status:
            sys.exit(f"{' '.join(arguments)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def rows(self):
        with sqlite3.connect(f"{self.folder}/nmlbench.sqlite") as db:
            return {row[:3]: row[3] for row in db.execute("SELECT cell_id, test_set, metric, value FROM v_results "
                                                          "WHERE status = 'done'")}

    def log(self, text):
        with sqlite3.connect(f"{self.folder}/nmlbench.sqlite") as db:
            return db.execute("SELECT count(*) FROM v_log WHERE message LIKE ?", (f"%{text}%",)).fetchone()[0]

    def said(self):
        workers = f"{self.folder}/nmlbench.sqlite.workers"
        return os.path.isdir(workers) and any(name.startswith("said-") for name in os.listdir(workers))

    def merged(self):
        return os.path.exists(f"{self.folder}/nmlbench.sqlite") and not os.path.exists(
            f"{self.folder}/nmlbench.sqlite.workers")

    def logs(self):
        folder = f"{self.folder}/nmlbench.sqlite.slurm"
        text = ""
        for name in sorted(os.listdir(folder)):
            with open(f"{folder}/{name}") as log:
                text += f"--- {name}\n{log.read()}"
        return text


def expect(what, good, shared):
    print(f"{'ok' if good else 'FAILED'}: {what}", flush=True)
    if not good:
        sys.exit(shared.logs())


def finish(slurm, shared, reference):
    wait_for("the array and the merging job", slurm.idle)
    expect("what the tasks found is merged", shared.merged(), shared)
    expect("rows are those of a single run, in every bit", shared.rows() == reference, shared)


def run_whole(slurm, program, folder, reference):
    shared = Shared(program, f"{folder}/whole", 12)
    said = shared.call("submit", "tiny.toml", "--slurm", "--array", "3", "--time", "60", "--cpus", "1")
    expect("submit says which jobs", "has 3 tasks" in said and "merges them" in said, shared)
    wait_for("a first epoch", shared.said)
    status = shared.call("status")
    expect("status names a task of Slurm's", "Slurm job" in status and "running   pre-train" in status, shared)
    finish(slurm, shared, reference)
    expect("each checkpoint was trained once", shared.log("trained resnet-tiny") == 4, shared)
    expect("the leaderboard is in the merging job's log", "linear-probe" in shared.logs(), shared)


# Slurm tells the tasks half a minute before a limit of one minute; they stop after an epoch and queue again.
def run_out_of_time(slurm, program, folder, epochs, reference):
    shared = Shared(program, f"{folder}/time", epochs)
    shared.call("submit", "tiny.toml", "--slurm", "--array", "2", "--time", "1", "--notice", "45")
    wait_for("a task that queues again", lambda: "DUE TO JOB REQUEUE" in shared.logs())
    finish(slurm, shared, reference)
    expect("a training went on after its last epoch", shared.log("resumes after epoch") > 0, shared)


# One task is killed with all it started, then a whole node; the node comes back later.
def run_killed(slurm, program, folder, epochs, reference):
    shared = Shared(program, f"{folder}/killed", epochs)
    shared.call("submit", "tiny.toml", "--slurm", "--array", "3", "--time", "60")
    wait_for("a first epoch", shared.said)
    for process in of_node(1):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    slurm.kill_node(2)
    time.sleep(15)  # longer than SlurmdTimeout: the controller knows
    slurm.start_node(2)
    finish(slurm, shared, reference)


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        slurm = Slurm(folder)
        try:
            references = {}
            for epochs in (12, 150):
                single = Shared(program, f"{folder}/single{epochs}", epochs)
                begin = time.time()
                single.call("run", "tiny.toml", "--quiet")
                references[epochs] = single.rows()
                print(f"{epochs} epochs by one process: {time.time() - begin:.0f} s, {len(references[epochs])} rows", flush=True)
            run_whole(slurm, program, folder, references[12])
            run_out_of_time(slurm, program, folder, 150, references[150])
            run_killed(slurm, program, folder, 150, references[150])
        finally:
            slurm.stop()


if __name__ == "__main__":
    main()
