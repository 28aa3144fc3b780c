// Stand-in for InfiniTime's system task.
#pragma once

namespace Pinetime {
namespace System {
class SystemTask {
  public:
    int locks = 0;
};
} // namespace System
} // namespace Pinetime
