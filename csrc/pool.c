/* The thread pool: fml_parallel, for a few independent tasks of about 20 us or more each.
 *
 * The pool runs one job at a time. The caller runs task 0 and publishes the number of untaken tasks; a worker, or the
 * caller, claims a task by decrementing that number, so a worker that is not scheduled delays nobody. The members of
 * the job are read only after a claim, as the job cannot end before the claimed task is done. A caller that finds the
 * pool busy (with a job of another caller, or with the job whose task is calling) runs all tasks itself, so nobody
 * waits for the pool and there is no deadlock.
 *
 * Threads are started on demand, spin for a bounded time before they sleep, use only static memory, and are never
 * joined. A forked child has no workers and starts new ones. Rejected: futexes, which woke threads no faster than
 * condition variables in our measurements; a fixed task for each thread, as a preempted thread would delay the job. */
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

static _Thread_local size_t thread_limit; /* 0: none */

void fml_limit_threads(size_t n) { thread_limit = n; }
size_t fml_thread_limit(void) { return thread_limit > 0 ? thread_limit : SIZE_MAX; }

enum { MAX_THREADS = 256, PAUSES = 16 };

/* How long a thread spins before it sleeps, in seconds. That bridges the work that a caller does alone between the
 * phases of a step. It is no longer than going to sleep and being woken takes (bench/pool_latency.c), so spinning in
 * vain at most doubles the cost of sleeping at once. */
static const double SPIN_SECONDS = 20e-6;

/* A counter for which threads can wait until it is 0, or until it is not 0. */
typedef struct {
    atomic_uint number, n_asleep;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} counter;

#define COUNTER_INIT \
    { 0, 0, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER }

static alignas(FML_ALIGNMENT) counter untaken = COUNTER_INIT; /* number of tasks of the job that nobody has claimed */
static struct {                                               /* the job; written only while both counters are 0 */
    void (*task)(void *context, size_t i);
    void *context;
    size_t n;
    float_mode mode; /* the caller's floating-point mode */
} job;
static alignas(FML_ALIGNMENT) counter unfinished = COUNTER_INIT;   /* number of tasks of the job that are not done */
static alignas(FML_ALIGNMENT) atomic_flag busy = ATOMIC_FLAG_INIT; /* a lock, held by the caller of the current job */
static size_t n_workers, max_workers = MAX_THREADS - 1, usable_threads; /* protected by `busy` */
static atomic_int may_spin; /* whether this process may run as many threads at once as the job has */

/* -- waiting ----------------------------------------------------------------------------------------------------- */

static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* yield does nothing on most of these processors */
#endif
}

/* Whether the number is 0, or with `nonzero` whether it is not 0. */
static int is_reached(counter *counter, int nonzero) { return (atomic_load(&counter->number) != 0) == nonzero; }

/* Spin until is_reached or until the time *end, if spinning is allowed; returns whether it is reached. If *end is 0, it
 * is set to SPIN_SECONDS from now. */
static int spin(counter *counter, int nonzero, double *end) {
    for (;;) {
        for (int i = 0; i < PAUSES; i++) {
            if (is_reached(counter, nonzero)) return 1;
            if (!atomic_load_explicit(&may_spin, memory_order_relaxed)) return 0;
            pause_briefly();
        }
        double now = fml_seconds();
        if (*end == 0) *end = now + SPIN_SECONDS;
        if (now >= *end) return 0;
    }
}

/* Wait until is_reached: spin until *end, see `spin`, and then sleep. */
static void wait_for(counter *counter, int nonzero, double *end) {
    if (spin(counter, nonzero, end)) return;
    pthread_mutex_lock(&counter->mutex);
    /* Increment n_asleep before reading the number: a waking thread changes the number before it reads n_asleep. */
    atomic_fetch_add(&counter->n_asleep, 1);
    while (!is_reached(counter, nonzero)) pthread_cond_wait(&counter->changed, &counter->mutex);
    atomic_fetch_sub(&counter->n_asleep, 1);
    pthread_mutex_unlock(&counter->mutex);
}

/* Wake n sleeping threads, after the number was changed. */
static void wake(counter *counter, size_t n) {
    pthread_mutex_lock(&counter->mutex); /* until every thread that has read the old number waits for `changed` */
    pthread_mutex_unlock(&counter->mutex);
    while (n-- > 0) pthread_cond_signal(&counter->changed);
}

/* -- working ----------------------------------------------------------------------------------------------------- */

/* Claim and run tasks until none is left, then subtract the number of tasks that this thread has done from
 * `unfinished`, in one operation; the job cannot end before. n_done: tasks of the job that this thread has done
 * already. Returns the number of tasks done. */
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
        double end = 0; /* a thread spins anew only after it had a task, so threads that are not needed sleep */
        do {
            wait_for(&untaken, 1, &end);
        } while (take_tasks(0) == 0);
    }
    return unused; /* never reached, but compilers expect it */
}

/* Publish the job, whose members are set, and wake as many workers as it needs. */
static void publish(unsigned n) {
    atomic_store_explicit(&may_spin, n <= usable_threads, memory_order_relaxed);
    atomic_store_explicit(&unfinished.number, n, memory_order_relaxed);
    atomic_store(&untaken.number, n - 1);
    size_t wanted = n - 1 < n_workers ? n - 1 : n_workers;
    size_t n_awake = n_workers - atomic_load(&untaken.n_asleep);
    if (n_awake >= wanted) return;
    wake(&untaken, wanted - n_awake);
    usable_threads = fml_usable_threads(); /* it may have changed; the call is cheap compared with waking a thread */
}

/* -- threads ----------------------------------------------------------------------------------------------------- */

/* Reset the pool in a forked child, where its threads do not exist; the fork may have come at any moment of a job. */
static void reset_after_fork(void) {
    counter *const counters[] = {&untaken, &unfinished};
    for (int i = 0; i < 2; i++) {
        atomic_store(&counters[i]->number, 0);
        atomic_store(&counters[i]->n_asleep, 0);
        pthread_mutex_init(&counters[i]->mutex, NULL);
        pthread_cond_init(&counters[i]->changed, NULL);
    }
    n_workers = 0;
    max_workers = MAX_THREADS - 1;
    atomic_flag_clear(&busy);
}

/* Start threads until there are n workers. If a thread cannot be started, max_workers is set to the present number, so
 * that later jobs do not spend time on trying again. */
static void start_workers(size_t n) {
    pthread_attr_t detached;
    sigset_t blocked, before;
    if (pthread_attr_init(&detached) != 0) return;
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    /* Leave signals to the main thread, except those that a thread's own errors raise, which that thread must handle.
     */
    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    pthread_sigmask(SIG_SETMASK, &blocked, &before); /* new threads inherit the mask */
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

/* Lock the pool and start workers for a job of n threads. Returns 0, without the lock, if it is busy or has no worker.
 */
static int take_pool(size_t n) {
    static atomic_int is_fork_safe; /* two threads may both register the handler, which does no harm */
    if (!atomic_load(&is_fork_safe)) {
        if (pthread_atfork(NULL, NULL, reset_after_fork) != 0) return 0;
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

/* Passes run on one thread in any case. */
void fml_limit_threads(size_t n) { (void)n; }
size_t fml_thread_limit(void) { return SIZE_MAX; }

void fml_parallel(size_t n, void (*task)(void *context, size_t i), void *context) { run_in_order(n, task, context); }

#endif
