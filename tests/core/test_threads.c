/* The tests of pool.c and usable_threads.c as a program of their own, for Linux: prints the number of checks; exits
 * with 1 where one fails. From the top of a checkout:
 *
 *     cc -std=c11 -O2 -g -pthread -Icsrc tests/core/test_*.c csrc/pool.c csrc/usable_threads.c csrc/platform.c -o
 * test_threads
 *
 * with -fsanitize=thread, or address,undefined; `./test_threads --no-fork` under an emulator. */
#define _GNU_SOURCE /* alarm */
#include "test_threads.h"

#include <string.h>
#include <unistd.h>

int main(int n_arguments, char **arguments) {
    tally t = {0, 0};
    alarm(300); /* what hangs has failed */
    check_pool(&t, n_arguments < 2 || strcmp(arguments[1], "--no-fork") != 0);
    check_cores(&t);
    printf("threads: %d checks, %d failures\n", t.n_checks, t.n_failures);
    return t.n_failures > 0;
}
