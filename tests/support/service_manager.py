#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Plays systemd for one service: notify socket, fd store, restart.

    service_manager.py DIR [--restart SECONDS] [--fds N] -- COMMAND [ARGUMENT...]

Runs in the foreground. DIR (made if missing) then holds

    notify   the service's NOTIFY_SOCKET
    control  a FIFO that takes one command a line:
               start            start the service, and keep it up
               stop             SIGTERM, no restart, no time-out; the fd store is emptied once the service is gone
               kill             SIGKILL; the restart follows as after any death
               signal NAME      any other signal (STOP, CONT, HUP, ...)
               restart SECONDS  set the delay before a restart; "restart never" turns it off
               drop-fds         empty the fd store
               quit             SIGKILL the service and end
    state    lines KEY=VALUE, replaced as a whole at each change:
               pid     of the service, 0 if there is none
               state   down | starting | ready | stopping | waiting (for its restart)
               starts  how often it was started
               exit    how it ended last: its exit status, or minus the signal
               fds     names in the store, joined by colons
               commands  how many control lines were done
               status  the last STATUS=
    log      what the service and this program said

The service gets LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES as systemd would set them. Like systemd, the store keeps
several descriptors under one name, but none twice; FDSTOREREMOVE=1 removes all of that name; BARRIER=1 is answered.
What a service stores while it is being stopped is not kept.

This program must go on when memory is short and the swap it would wait for is the service's own: it locks its memory
and asks to be spared by the OOM killer. It does not pass these on: the service has to prepare itself.
"""

import argparse
import ctypes
import os
import selectors
import signal
import socket
import struct
import sys
import time

LISTEN_FDS_START = 3
MCL_CURRENT, MCL_FUTURE = 1, 2
SYS_KCMP, KCMP_FILE = 312, 0  # x86-64's number
LIBC = ctypes.CDLL(None, use_errno=True)


def lock_memory():
    if LIBC.mlockall(MCL_CURRENT | MCL_FUTURE) != 0:
        print("service_manager: mlockall:", os.strerror(ctypes.get_errno()), file=sys.stderr)


def set_oom_score(value):
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(str(value))
    except OSError as error:
        print("service_manager: oom_score_adj:", error, file=sys.stderr)


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0


def same_file(one, other):
    me = os.getpid()
    result = LIBC.syscall(SYS_KCMP, me, me, KCMP_FILE, one, other)
    return result == 0 if result >= 0 else os.fstat(one) == os.fstat(other)


class FdStore:
    """Pairs (name, fd), in the order of their arrival."""

    def __init__(self, limit):
        self.limit = limit
        self.entries = []

    def names(self):
        return [name for name, _ in self.entries]

    def add(self, name, fd):
        """Owns fd from here on. Says what became of it."""
        if any(same_file(fd, kept) for _, kept in self.entries):
            os.close(fd)
            return "known"
        if len(self.entries) >= self.limit:
            os.close(fd)
            return "refused: the store is full"
        self.entries.append((name, fd))
        return "stored"

    def remove(self, name):
        for entry in [entry for entry in self.entries if entry[0] == name]:
            os.close(entry[1])
            self.entries.remove(entry)

    def clear(self):
        for _, fd in self.entries:
            os.close(fd)
        self.entries = []


class Manager:
    def __init__(self, directory, command, restart, fd_limit):
        self.directory = directory
        self.command = command
        self.restart = restart  # seconds, None: never
        self.store = FdStore(fd_limit)
        self.pid = 0
        self.state = "down"
        self.starts = 0
        self.exit = ""
        self.status = ""
        self.commands = 0
        self.start_at = None  # monotonic; while waiting
        self.wanted = False
        self.quitting = False
        self.selector = selectors.DefaultSelector()
        os.makedirs(directory, exist_ok=True)
        self.log_fd = os.open(self.path("log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self.notify = self.make_notify_socket()
        self.control = self.make_control()
        self.control_rest = b""
        self.wake = self.make_wake_pipe()

    def path(self, name):
        return os.path.join(self.directory, name)

    def log(self, text):
        os.write(self.log_fd, f"service_manager: {text}\n".encode())

    # ---- what it listens to ----

    def make_notify_socket(self):
        path = self.path("notify")
        if os.path.exists(path):
            os.unlink(path)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        notify.bind(path)
        self.selector.register(notify, selectors.EVENT_READ, self.on_notify)
        return notify

    def make_control(self):
        path = self.path("control")
        if os.path.exists(path):
            os.unlink(path)
        os.mkfifo(path)
        control = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.selector.register(control, selectors.EVENT_READ, self.on_control)
        return control

    def make_wake_pipe(self):
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.command_quit())
        self.selector.register(reader, selectors.EVENT_READ, self.on_wake)
        return reader

    # ---- what it tells ----

    def write_state(self):
        lines = [
            f"pid={self.pid}",
            f"state={self.state}",
            f"starts={self.starts}",
            f"exit={self.exit}",
            f"fds={':'.join(self.store.names())}",
            f"commands={self.commands}",
            f"status={self.status}",
        ]
        fresh = self.path("state.new")
        with open(fresh, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        os.rename(fresh, self.path("state"))

    def set_state(self, state):
        if state != self.state:
            self.log(f"{self.state} -> {state}")
        self.state = state
        self.write_state()

    # ---- the service ----

    def start(self):
        self.start_at = None
        if self.pid:
            return
        self.starts += 1
        self.status = ""
        pid = os.fork()
        if pid == 0:
            self.become_service()
        self.pid = pid
        self.set_state("starting")

    def become_service(self):
        try:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            set_oom_score(0)
            environment = dict(os.environ, NOTIFY_SOCKET=self.path("notify"))
            fds = [fd for _, fd in self.store.entries]
            if fds:
                environment["LISTEN_FDS"] = str(len(fds))
                environment["LISTEN_PID"] = str(os.getpid())
                environment["LISTEN_FDNAMES"] = ":".join(self.store.names())
            self.place_fds(fds)
            os.execvpe(self.command[0], self.command, environment)
        except BaseException as error:  # pylint: disable=broad-exception-caught
            os.write(2, f"service_manager: cannot start {self.command[0]}: {error}\n".encode())
        os._exit(127)

    def place_fds(self, fds):
        """The log becomes 1 and 2, the store 3 and up; all others close at exec."""
        os.dup2(self.log_fd, 1)
        os.dup2(self.log_fd, 2)
        clear_of = LISTEN_FDS_START + len(fds)
        copies = []
        for fd in fds:
            copy = os.dup(fd)
            while copy < clear_of:
                copy = os.dup(copy)  # the copies below are overwritten or closed at exec
            copies.append(copy)
        for place, copy in enumerate(copies, LISTEN_FDS_START):
            os.dup2(copy, place, inheritable=True)

    def reap(self):
        if not self.pid:
            return
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return
        self.pid = 0
        self.exit = str(os.waitstatus_to_exitcode(status))
        self.log(f"the service ended with {self.exit}")
        self.drain_notify()
        if not self.wanted:
            self.store.clear()
            self.set_state("down")
        elif self.restart is None:
            self.set_state("down")
        else:
            self.start_at = time.monotonic() + self.restart
            self.set_state("waiting")

    # ---- notifications ----

    def drain_notify(self):
        while self.on_notify():
            pass

    def on_notify(self):
        """Takes one datagram; False if there was none."""
        try:
            data, ancillary, _, _ = self.notify.recvmsg(
                65536, socket.CMSG_SPACE(64 * 4) + socket.CMSG_SPACE(12), socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return False
        fds, sender = [], 0
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds += struct.unpack(f"{len(content) // 4}i", content[: len(content) // 4 * 4])
            elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                sender = struct.unpack("3i", content)[0]
        fields = dict(line.split("=", 1) for line in data.decode().split("\n") if "=" in line)
        self.take(fields, fds, sender)
        return True

    def take(self, fields, fds, sender):
        if self.pid and sender not in (0, self.pid) and parent_of(sender) != self.pid:
            self.log(f"a message from {sender}, who is not the service, is taken all the same")
        if fields.get("FDSTORE") == "1" and (self.wanted or self.state != "stopping"):
            name = fields.get("FDNAME", "stored")
            for fd in fds:
                self.log(f"fd '{name}': {self.store.add(name, fd)}")
        else:
            for fd in fds:
                os.close(fd)
        if fields.get("FDSTOREREMOVE") == "1":
            self.store.remove(fields.get("FDNAME", "stored"))
        if "STATUS" in fields:
            self.status = fields["STATUS"]
        if fields.get("READY") == "1" and self.pid and self.wanted:
            self.set_state("ready")
        else:
            self.write_state()

    # ---- commands ----

    def on_control(self):
        self.control_rest += os.read(self.control, 4096)
        *lines, self.control_rest = self.control_rest.split(b"\n")
        for line in lines:
            words = line.decode().split()
            if not words:
                continue
            self.log("command: " + " ".join(words))
            act = getattr(self, "command_" + words[0].replace("-", "_"), None)
            try:
                if act is None:
                    raise ValueError("no such command")
                act(*words[1:])
            except (ValueError, TypeError, KeyError, ProcessLookupError) as error:
                self.log(f"command {words}: {error!r}")
            self.commands += 1
            self.write_state()

    def command_start(self):
        self.wanted = True
        self.start()

    def command_stop(self):
        self.wanted = False
        self.start_at = None
        if self.pid:
            self.set_state("stopping")
            os.kill(self.pid, signal.SIGTERM)
        else:
            self.store.clear()
            self.set_state("down")

    def command_kill(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)

    def command_signal(self, name):
        if self.pid:
            os.kill(self.pid, signal.Signals["SIG" + name])

    def command_restart(self, delay):
        self.restart = None if delay == "never" else float(delay)
        if self.restart is None and self.start_at is not None:
            self.start_at = None
            self.set_state("down")

    def command_drop_fds(self):
        self.store.clear()

    def command_quit(self):
        self.quitting = True
        self.wanted = False
        self.command_kill()

    # ---- the loop ----

    def on_wake(self):
        os.read(self.wake, 4096)

    def run(self):
        self.command_start()
        while not (self.quitting and not self.pid):
            timeout = None
            if self.start_at is not None:
                timeout = max(0.0, self.start_at - time.monotonic())
            for key, _ in self.selector.select(timeout):
                key.data()
            self.reap()
            if self.start_at is not None and time.monotonic() >= self.start_at:
                self.start()
        self.write_state()


def main():
    usage = "%(prog)s DIR [--restart SECONDS] [--fds N] -- COMMAND [ARGUMENT...]"
    parser = argparse.ArgumentParser(usage=usage, description="Plays systemd for one service.")
    parser.add_argument("directory")
    parser.add_argument("--restart", type=float, metavar="SECONDS", help="start again after a death, this much later")
    parser.add_argument("--fds", type=int, default=16, help="how many descriptors the store takes")
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    command = sys.argv[at + 1 :]
    arguments = parser.parse_args(sys.argv[1:at])
    if not command:
        parser.error("no command: give it after --")
    lock_memory()
    set_oom_score(-1000)
    Manager(os.path.abspath(arguments.directory), command, arguments.restart, arguments.fds).run()


if __name__ == "__main__":
    main()
