/* The thread pool: fml_parallel, for whoever has a few independent pieces of work of 20 us and more.
 *
 * One job at a time: its caller takes task 0 and publishes the number of the others; a claim is one decrement of that
 * number, by a worker or by the caller itself, so that a worker that gets no processor holds nobody up. What a job is
 * made of is read after a claim alone, while the job cannot end. A caller that finds the pool busy (with another
 * caller, or with the task that it is in) runs alone, so nobody ever waits for the pool and nothing can deadlock.
 * Threads come on demand, wait a bounded time awake and then asleep, use static memory alone, and are never joined.
 * A forked child has none of them and starts anew. Rejected: futexes, which woke no faster than condition variables
 * where it was measured; a fixed task per thread, which a preempted thread would stall. */
#define _GNU_SOURCE /* pthread_sigmask and signal sets, beside -std=c11 */
#include "core.h"

static void run_in_order(size_t n, void (*task)(void *context, size_t i), void *context) {
    for (size_t i = 0; i < n; i++) task(context, i);
}

#if (defined(__unix__) || defined(__APPLE__)) && defined(__GNUC__) && !defined(__STDC_NO_ATOMICS__)

#include "float_mode.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>

enum { MAX_THREADS = 256, PAUSES = 16 };

/* How long a thread waits awake, in seconds. It bridges what a caller does alone between the phases of a step, and is
 * no more than what falling asleep and being woken costs (bench/pool_latency.c), so that who waits in vain pays at
 * most twice what knowing beforehand would have cost. */
static const double AWAKE = 20e-6;

/* A number that threads wait for, to become 0 or another than 0. */
typedef struct {
    atomic_uint number, n_asleep;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} gate;

#define GATE \
    { 0, 0, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER }

static alignas(FML_ALIGNMENT) gate untaken = GATE; /* tasks of the job that nobody has taken */
static struct {                                    /* the job, which changes while both gates are 0 */
    void (*task)(void *context, size_t i);
    void *context;
    size_t n;
    float_mode mode; /* the caller's */
} job;
static alignas(FML_ALIGNMENT) gate unfinished = GATE;              /* tasks of the job that are not done */
static alignas(FML_ALIGNMENT) atomic_flag busy = ATOMIC_FLAG_INIT; /* the pool has a caller, who owns what follows */
static size_t n_workers, max_workers = MAX_THREADS - 1, usable_threads;
static atomic_int may_stay_awake; /* each thread of the job has a processor of its own */

/* -- waiting ----------------------------------------------------------------------------------------------------- */

static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* yield does nothing on most of these processors */
#endif
}

static int is_open(gate *gate, int nonzero) { return (atomic_load(&gate->number) != 0) == nonzero; }

/* Whether the gate opens while the thread may wait awake, until *end; if that is 0, until AWAKE from now, which *end
 * then is. */
static int opens_soon(gate *gate, int nonzero, double *end) {
    for (;;) {
        for (int i = 0; i < PAUSES; i++) {
            if (is_open(gate, nonzero)) return 1;
            if (!atomic_load_explicit(&may_stay_awake, memory_order_relaxed)) return 0;
            pause_briefly();
        }
        double now = fml_seconds();
        if (*end == 0) *end = now + AWAKE;
        if (now >= *end) return 0;
    }
}

/* Returns when the number is 0, or where `nonzero` is set another than 0; end: see opens_soon. */
static void wait_for(gate *gate, int nonzero, double *end) {
    if (opens_soon(gate, nonzero, end)) return;
    pthread_mutex_lock(&gate->mutex);
    /* First say it, then look: whoever changes the number does it first and then looks who is asleep. */
    atomic_fetch_add(&gate->n_asleep, 1);
    while (!is_open(gate, nonzero)) pthread_cond_wait(&gate->changed, &gate->mutex);
    atomic_fetch_sub(&gate->n_asleep, 1);
    pthread_mutex_unlock(&gate->mutex);
}

/* Wakes n of those who sleep; the number is changed already. */
static void wake(gate *gate, size_t n) {
    pthread_mutex_lock(&gate->mutex); /* whoever has seen the old number sleeps by now */
    pthread_mutex_unlock(&gate->mutex);
    while (n-- > 0) pthread_cond_signal(&gate->changed);
}

/* -- working ----------------------------------------------------------------------------------------------------- */

/* Runs tasks until all are taken; n_done: how many of the job this thread has done already. What it has done it says
 * at the end and at once; until then the job cannot end. Returns that number. */
static unsigned take_tasks(unsigned n_done) {
    unsigned left = atomic_load(&untaken.number);
    while (left > 0) {
        if (!atomic_compare_exchange_weak(&untaken.number, &left, left - 1)) continue;
        restore_mode(job.mode);
        job.task(job.context, job.n - left);
        n_done++;
        left = atomic_load(&untaken.number);
    }
    if (n_done > 0 && atomic_fetch_sub(&unfinished.number, n_done) == n_done && atomic_load(&unfinished.n_asleep) > 0)
        wake(&unfinished, 1);
    return n_done;
}

static void *work(void *unused) {
    for (;;) {
        double end = 0; /* only a thread that had a task waits awake anew: one too many for the jobs at hand sleeps */
        do {
            wait_for(&untaken, 1, &end);
        } while (take_tasks(0) == 0);
    }
    return unused; /* never; but compilers want it */
}

/* Publishes the job, which is complete, and sees to it that as many workers are awake as it has use for. */
static void publish(unsigned n) {
    atomic_store_explicit(&may_stay_awake, n <= usable_threads, memory_order_relaxed);
    atomic_store_explicit(&unfinished.number, n, memory_order_relaxed);
    atomic_store(&untaken.number, n - 1);
    size_t wanted = n - 1 < n_workers ? n - 1 : n_workers;
    size_t n_awake = n_workers - atomic_load(&untaken.n_asleep);
    if (n_awake >= wanted) return;
    wake(&untaken, wanted - n_awake);
    usable_threads = fml_usable_threads(); /* it may have changed; beside a wake-up, asking costs nothing */
}

/* -- threads ----------------------------------------------------------------------------------------------------- */

/* The pool of a forked child, whatever it was doing in the parent: the threads are gone, one of them in the middle of
 * anything. */
static void start_anew(void) {
    gate *const gates[] = {&untaken, &unfinished};
    for (int i = 0; i < 2; i++) {
        atomic_store(&gates[i]->number, 0);
        atomic_store(&gates[i]->n_asleep, 0);
        pthread_mutex_init(&gates[i]->mutex, NULL);
        pthread_cond_init(&gates[i]->changed, NULL);
    }
    n_workers = 0;
    max_workers = MAX_THREADS - 1;
    atomic_flag_clear(&busy);
}

/* Starts threads until there are n workers or no more can be had, which is then remembered: to try again for each job
 * could cost more than it brings. */
static void start_workers(size_t n) {
    pthread_attr_t detached;
    sigset_t blocked, before;
    if (pthread_attr_init(&detached) != 0) return;
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    /* Handlers belong to the main thread; but an error of a thread's own is reported by handlers in that thread. */
    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    pthread_sigmask(SIG_SETMASK, &blocked, &before); /* a new thread inherits it */
    for (; n_workers < n; n_workers++) {
        pthread_t thread;
        if (pthread_create(&thread, &detached, work, NULL) != 0) {
            max_workers = n_workers;
            break;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    usable_threads = fml_usable_threads();
}

/* Takes the pool, with workers for n threads if they can be had; returns whether there is a worker. */
static int take_pool(size_t n) {
    static atomic_int is_fork_safe; /* done twice, by two threads at once, does no harm; not done, it would */
    if (!atomic_load(&is_fork_safe)) {
        if (pthread_atfork(NULL, NULL, start_anew) != 0) return 0;
        atomic_store(&is_fork_safe, 1);
    }
    if (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) return 0;
    size_t wanted = n - 1 < max_workers ? n - 1 : max_workers;
    if (n_workers < wanted) start_workers(wanted);
    if (n_workers > 0) return 1;
    atomic_flag_clear_explicit(&busy, memory_order_release);
    return 0;
}

void fml_parallel(size_t n, void (*task)(void *context, size_t i), void *context) {
    if (n < 2 || n > UINT_MAX || !take_pool(n)) {
        run_in_order(n, task, context);
        return;
    }
    job.task = task;
    job.context = context;
    job.n = n;
    job.mode = current_mode();
    publish((unsigned)n);
    task(context, 0);
    take_tasks(1);
    double end = 0;
    wait_for(&unfinished, 0, &end);
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

#else

void fml_parallel(size_t n, void (*task)(void *context, size_t i), void *context) { run_in_order(n, task, context); }

#endif
