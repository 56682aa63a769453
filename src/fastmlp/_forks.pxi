# Part of _core.pyx: forks. A child process has only one thread, the one that forked. What other threads were importing
# is completed before the fork, and the child knows what it has lost.

cdef uint64_t n_forks = 0          # the number of forks between the process that loaded this module and this one
cdef unsigned long forking_thread = 0  # the thread that made the last of these forks

# Modules that this package imports only when it needs them. None of them may call os.register_at_fork: if _before_fork
# imported such a module, its function for the child would be called without its function before the fork.
_LATE_IMPORTS = ("fastmlp.datasets", "fastmlp.encoder", "fastmlp.ensemble", "fastmlp.formats.upgrade",
                 "fastmlp.training.fit", "fastmlp.training.many", "hashlib", "json", "mmap", "numpy.ma")


def _before_fork():
    """Import _LATE_IMPORTS, which waits for any thread that is importing one of them. In a child process that thread
    would not exist, and an import would wait for it forever. With a single thread there is nothing to wait for: as long
    as nothing has imported `threading`, or while it counts one thread."""
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        for name in _LATE_IMPORTS:
            __import__(name)


def _after_fork():
    global n_forks, forking_thread
    n_forks += 1
    forking_thread = PyThread_get_thread_ident()
    flag = stop_flag_here()  # the other threads do not exist, and new ones may get their numbers
    stop_flags.clear()
    if flag is not None:
        flag.enter()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
