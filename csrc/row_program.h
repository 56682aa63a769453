/* The row program of a network, see row_program.c. Private to csrc. */
#ifndef FASTMLP_ROW_PROGRAM_H
#define FASTMLP_ROW_PROGRAM_H

#include "core.h"

/* Set the steps of the network's layers; fml_network_lay_out calls it when all else is set. */
void build_row_program(fml_network *net);

#endif
