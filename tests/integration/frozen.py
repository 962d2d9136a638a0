"""A thread that stands still."""

import ctypes
import os

import pytest

SEIZE, INTERRUPT, DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000


class Frozen:
    """One thread of a process, stopped by its debugger: us."""

    def __init__(self, pid, name):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self.libc.ptrace.restype = ctypes.c_long
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/comm") as f:
                if f.read().strip() == name:
                    self.task = int(task)

    def call(self, request):
        if self.libc.ptrace(request, self.task, None, None) != 0:
            return ctypes.get_errno()
        return 0

    def __enter__(self):
        if self.call(SEIZE) != 0:
            pytest.skip("this machine lets nobody trace a thread")
        assert self.call(INTERRUPT) == 0
        os.waitpid(self.task, WALL)
        return self

    def __exit__(self, *_):
        assert self.call(DETACH) == 0
