// Stand-in for what keeps InfiniTime awake.
#pragma once

#include "systemtask/SystemTask.h"

namespace Pinetime {
namespace System {
class WakeLock {
  public:
    WakeLock(SystemTask &systemTask) : systemTask{systemTask} {
    }

    ~WakeLock() {
        systemTask.locks -= held;
    }

    void Lock() {
        systemTask.locks++;
        held++;
    }

  private:
    SystemTask &systemTask;
    int held = 0;
};
} // namespace System
} // namespace Pinetime
