/* The thread pool: every task runs once, for any caller, also from within a task; in the caller's floating-point mode;
 * workers block signals; and a forked child has a working pool.
 *
 * check_pool may be called only once in a process, before anything else uses the pool, as it first checks that there
 * are no threads. In tests that need two threads at the same time, each task waits for the other, at most PATIENCE
 * seconds, which only a failure takes. An alarm kills children that hang. */
#define _GNU_SOURCE
#include "test_threads.h"

#include "float_mode.h"

#include <dirent.h>
#include <float.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_ROUNDS = 2000, MAX_TASKS = 9, N_CALLERS = 4, N_FORKS = 20, PATIENCE = 20 /* seconds */ };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SANITIZED = 1 };
#elif defined(__has_feature)
enum { IS_SANITIZED = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) };
#else
enum { IS_SANITIZED = 0 };
#endif

/* The number of threads of this process; 0 if it is unknown or a sanitizer has threads of its own. */
static int count_threads(void) {
    DIR *tasks = IS_SANITIZED ? NULL : opendir("/proc/self/task");
    if (tasks == NULL) return 0;
    int n = 0;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) n += entry->d_name[0] != '.';
    closedir(tasks);
    return n;
}

/* -- each task once ---------------------------------------------------------------------------------------------- */

typedef struct {
    int runs[MAX_TASKS + 1]; /* not atomic: fml_parallel must make a task's writes visible to the caller */
    int round;
} board;

static void mark(void *context, size_t i) {
    board *b = context;
    b->runs[i < MAX_TASKS ? i : MAX_TASKS] += b->round;
}

/* Whether in each of `rounds` jobs every task was run once, and no other. */
static int runs_each_once(size_t n, int rounds) {
    board b;
    for (b.round = 1; b.round <= rounds; b.round++) {
        memset(b.runs, 0, sizeof b.runs);
        fml_parallel(n, mark, &b);
        for (size_t i = 0; i <= MAX_TASKS; i++)
            if (b.runs[i] != (i < n ? b.round : 0)) return 0;
    }
    return 1;
}

static void check_first_use(tally *t) {
    int before = count_threads();
    check(t, runs_each_once(0, 1) && runs_each_once(1, 1), "n of 0 and 1");
    check(t, count_threads() == before, "n of 1 starts no thread");
    static const size_t N[] = {2, 2, 4, 3}, EXPECTED[] = {1, 1, 3, 3};
    for (int i = 0; i < 4; i++) {
        check(t, runs_each_once(N[i], 1), "first use, n = %zu", N[i]);
        if (before > 0)
            check(t, count_threads() == before + (int)EXPECTED[i], "%zu threads after n = %zu", EXPECTED[i], N[i]);
    }
}

static void check_each_once(tally *t) {
    for (size_t n = 1; n <= MAX_TASKS; n++) check(t, runs_each_once(n, N_ROUNDS), "n = %zu: each task once", n);
}

static void *call_often(void *n) { return runs_each_once(*(size_t *)n, N_ROUNDS) ? n : NULL; }

static void check_concurrent_callers(tally *t) {
    pthread_t callers[N_CALLERS];
    size_t n[N_CALLERS];
    void *result;
    for (size_t i = 0; i < N_CALLERS; i++) {
        n[i] = 2 + i;
        pthread_create(&callers[i], NULL, call_often, &n[i]);
    }
    for (size_t i = 0; i < N_CALLERS; i++) {
        pthread_join(callers[i], &result);
        check(t, result != NULL, "caller %zu of several at once: each task once", i);
    }
}

/* A job started from within a task: the indices of its tasks in the order of their calls, and whether one thread ran
 * all. */
typedef struct {
    size_t order[4], n_run;
    int is_alone;
    pthread_t thread;
} inner;

static void note(void *context, size_t i) {
    inner *in = context;
    if (!pthread_equal(pthread_self(), in->thread)) in->is_alone = 0;
    in->order[in->n_run++ % 4] = i;
}

static void call_from_within(void *context, size_t i) {
    inner *in = (inner *)context + i;
    in->is_alone = 1;
    in->thread = pthread_self();
    fml_parallel(4, note, in);
}

static void check_nested(tally *t) {
    int in_order = 1;
    for (int round = 0; round < N_ROUNDS; round++) {
        inner in[3];
        memset(in, 0, sizeof in);
        fml_parallel(3, call_from_within, in);
        for (int i = 0; i < 3; i++) {
            in_order &= in[i].n_run == 4 && in[i].is_alone;
            for (size_t k = 0; k < 4; k++) in_order &= in[i].order[k] == k;
        }
    }
    check(t, in_order, "a job from within a task runs in that thread, in order");
}

/* -- floating-point mode and signals of a worker ------------------------------------------------------------------ */

/* The results of two tasks that wait for one another, so that a worker runs one of them; [0] caller, [1] worker. */
typedef struct {
    atomic_int n_here;
    pthread_t caller;
    double halves[2]; /* half of the smallest normal number; -1: no such thread */
    sigset_t blocked[2];
} meeting;

/* Wait until both tasks run; returns whether this thread is the worker. */
static int meet(meeting *m) {
    atomic_fetch_add(&m->n_here, 1);
    for (double start = fml_seconds(); atomic_load(&m->n_here) < 2 && fml_seconds() - start < PATIENCE;) sched_yield();
    return !pthread_equal(pthread_self(), m->caller);
}

static void look_around(void *context, size_t i) {
    meeting *m = context;
    int is_worker = meet(m);
    volatile double smallest = DBL_MIN;
    (void)i;
    m->halves[is_worker] = smallest * 0.5;
    pthread_sigmask(SIG_BLOCK, NULL, &m->blocked[is_worker]);
}

static meeting hold_meeting(void) {
    meeting m = {.caller = pthread_self(), .halves = {-1, -1}};
    fml_parallel(2, look_around, &m);
    return m;
}

static void check_float_mode(tally *t) {
    for (int round = 0; round < 3; round++) {
        meeting as_found = hold_meeting();
        check(t, as_found.halves[1] == DBL_MIN / 2, "a worker keeps denormals where its caller does");
        float_mode before = flush_denormals();
        meeting m = hold_meeting();
        check(t, (current_mode() & FLUSH) == FLUSH, "the caller's mode stays");
        restore_mode(before);
        check(t, m.halves[0] == (FLUSH == 0 ? DBL_MIN / 2 : 0), "the caller flushes denormals");
        check(t, m.halves[1] == m.halves[0], "a worker does as its caller");
    }
}

static pthread_t main_thread;
static atomic_int n_handled, n_elsewhere;
static void handle(int number) {
    (void)number;
    atomic_fetch_add(&n_handled, 1);
    if (!pthread_equal(pthread_self(), main_thread)) atomic_fetch_add(&n_elsewhere, 1);
}

static void check_signals(tally *t) {
    static const int BLOCKED[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM, SIGCHLD, SIGUSR1, SIGPROF, SIGWINCH, SIGPIPE};
    static const int OPEN[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    sigset_t before, after;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    meeting m = hold_meeting();
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (size_t i = 0; i < LENGTH_OF(BLOCKED); i++) {
        check(t, sigismember(&m.blocked[1], BLOCKED[i]) == 1, "a worker blocks signal %d", BLOCKED[i]);
        check(t, sigismember(&after, BLOCKED[i]) == sigismember(&before, BLOCKED[i]), "the caller's mask stays");
    }
    for (size_t i = 0; i < LENGTH_OF(OPEN); i++)
        check(t, sigismember(&m.blocked[1], OPEN[i]) == 0, "a worker reports its own error %d", OPEN[i]);

    struct sigaction action = {.sa_handler = handle}, old;
    main_thread = pthread_self();
    sigaction(SIGUSR1, &action, &old);
    for (int i = 0; i < 100; i++) kill(getpid(), SIGUSR1);
    for (double start = fml_seconds(); n_handled == 0 && fml_seconds() - start < PATIENCE;) sched_yield();
    sigaction(SIGUSR1, &old, NULL);
    check(t, n_handled > 0 && n_elsewhere == 0, "handlers run in the main thread");
}

/* -- fork -------------------------------------------------------------------------------------------------------- */

/* Run `body` in a forked child; returns whether its result was not 0, and in time. */
static int holds_in_child(int (*body)(void)) {
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(PATIENCE);
        _exit(body() ? 0 : 1);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Whether the pool has a worker, and runs every task once. */
static int pool_works(void) {
    return hold_meeting().halves[1] != -1 && runs_each_once(2, 200) && runs_each_once(5, 200);
}

static int works_in_grandchild(void) { return pool_works() && holds_in_child(pool_works); }

/* A job whose tasks run until may_end is set. */
static atomic_int is_running, may_end;
static void last(void *context, size_t i) {
    (void)context, (void)i;
    atomic_fetch_add(&is_running, 1);
    for (double start = fml_seconds(); !may_end && fml_seconds() - start < PATIENCE;) sched_yield();
}
static void *call_lasting(void *unused) {
    fml_parallel(MAX_TASKS, last, NULL);
    return unused;
}

/* Like holds_in_child, with a child that is forked while at least n_running tasks of a job are running. */
static int holds_in_child_of_job(int n_running, int (*body)(void)) {
    pthread_t caller;
    is_running = may_end = 0;
    pthread_create(&caller, NULL, call_lasting, NULL);
    for (double start = fml_seconds(); is_running < n_running && fml_seconds() - start < PATIENCE;) sched_yield();
    int ok = holds_in_child(body);
    may_end = 1;
    pthread_join(caller, NULL);
    return ok;
}

static void check_fork(tally *t) {
    check(t, holds_in_child(works_in_grandchild), "child and grandchild of a process whose pool is idle");
    check(t, pool_works(), "the parent's pool goes on");
    for (int i = 0; i < N_FORKS; i++)
        check(t, holds_in_child_of_job(i % 2 ? MAX_TASKS : 1, pool_works), "child of a process whose pool is at work");
    check(t, pool_works(), "the parent's pool goes on");
}

/* Fork at arbitrary moments, while other threads start jobs, finish them and find the pool busy. */
static void check_fork_anywhere(tally *t) {
    pthread_t callers[2];
    size_t n[2] = {2, 3};
    for (int i = 0; i < 2; i++) pthread_create(&callers[i], NULL, call_often, &n[i]);
    for (int i = 0; i < N_FORKS; i++) check(t, holds_in_child(pool_works), "child of a process with busy callers");
    for (int i = 0; i < 2; i++) pthread_join(callers[i], NULL);
}

/* -- limits ------------------------------------------------------------------------------------------------------ */

static void count(void *context, size_t i) {
    (void)i;
    atomic_fetch_add((atomic_int *)context, 1);
}

static int caps_threads(void) {
    int before = count_threads(); /* 1, in a child */
    atomic_int n_run = 0;
    fml_parallel(1000, count, &n_run);
    return n_run == 1000 && (before == 0 || count_threads() == before + 255) && runs_each_once(MAX_TASKS, 100);
}

/* runs_each_once while the address space is limited, so that no thread can be started. */
static int runs_refused(size_t n) {
    struct rlimit limit, none;
    getrlimit(RLIMIT_AS, &limit);
    none = limit;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_AS, &none);
    int ok = runs_each_once(n, 10);
    setrlimit(RLIMIT_AS, &limit);
    return ok;
}

static int does_without_threads(void) {
    int before = count_threads();
    return runs_refused(5) && count_threads() == before;
}

/* Whether a child runs its own job and no task of its parent's job, while it starts many threads. */
static int runs_its_own(void) {
    int before = is_running;
    atomic_int n_run = 0;
    fml_parallel(200, count, &n_run);
    return n_run == 200 && is_running == before;
}

/* If only one worker could be started, it is woken for work; and a child that is forked while a job has unclaimed tasks
 * does not run these. */
static int does_with_fewer(void) {
    int before = count_threads();
    int ok = runs_each_once(2, 1) && runs_refused(5) && (before == 0 || count_threads() == before + 1);
    usleep(10000); /* it falls asleep */
    return ok && hold_meeting().halves[1] != -1 && holds_in_child_of_job(2, runs_its_own);
}

static void *limit_here(void *found) {
    *(size_t *)found = fml_thread_limit();
    fml_limit_threads(5);
    return NULL;
}

static void check_limit(tally *t) {
    pthread_t thread;
    size_t found = 0;
    check(t, fml_thread_limit() == SIZE_MAX, "no limit by default");
    fml_limit_threads(3);
    if (pthread_create(&thread, NULL, limit_here, &found) == 0) pthread_join(thread, NULL);
    check(t, found == SIZE_MAX && fml_thread_limit() == 3, "a limit is that of one thread");
    fml_limit_threads(0);
    check(t, fml_thread_limit() == SIZE_MAX, "no limit any more");
}

void check_pool(tally *t, int may_fork) {
    if (IS_SANITIZED) may_fork = 0; /* a child may inherit locks that the sanitizer itself holds */
    if (may_fork) {                 /* before any thread was started, as the stack of an earlier thread is reused */
        check(t, holds_in_child(does_without_threads), "each task once where no thread can be had");
        check(t, holds_in_child(does_with_fewer), "a worker works where a second cannot be had");
    }
    check_first_use(t);
    check_each_once(t);
    check_concurrent_callers(t);
    check_nested(t);
    check_float_mode(t);
    check_signals(t);
    check_limit(t);
    if (!may_fork) return;
    check_fork(t);
    check_fork_anywhere(t);
    check(t, holds_in_child(caps_threads), "256 threads at most");
}
