#include "ef_gates.h"
#include "ef_gru_passes.inc"
