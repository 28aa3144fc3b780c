// Stand-in for what InfiniTime makes of Apps.h.in.
#pragma once

#include <cstdint>

namespace Pinetime {
namespace Applications {
enum class Apps : uint8_t { None, Dice, GaitApp };

template <Apps> struct AppTraits {};
} // namespace Applications
} // namespace Pinetime
