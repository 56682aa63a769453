/* A program that runs the tests of pool.c and usable_threads.c on Linux; it prints the number of checks, and its exit
 * status is 1 if one has failed. From the top of a checkout:
 *
 *     cc -std=c11 -O2 -g -pthread -Icsrc tests/core/test_*.c csrc/pool.c csrc/usable_threads.c csrc/platform.c -o
 * test_threads
 *
 * and the same with -fsanitize=thread or -fsanitize=address,undefined. Under an emulator: ./test_threads --no-fork */
#define _GNU_SOURCE /* alarm */
#include "test_threads.h"

#include <string.h>
#include <unistd.h>

int main(int n_arguments, char **arguments) {
    tally t = {0, 0};
    alarm(300); /* a test that hangs has failed */
    check_pool(&t, n_arguments < 2 || strcmp(arguments[1], "--no-fork") != 0);
    check_cores(&t);
    printf("threads: %d checks, %d failures\n", t.n_checks, t.n_failures);
    return t.n_failures > 0;
}
