#include "ef_gates.h"
#include "ef_lstm_passes.inc"
