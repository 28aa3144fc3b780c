// Stand-in for InfiniTime's base class of screens, declared as in the public one.
#pragma once

#include <lvgl/lvgl.h>

namespace Pinetime {
namespace Applications {
namespace Screens {
class Screen {
  private:
    virtual void Refresh() {
    }

  public:
    explicit Screen() = default;
    virtual ~Screen() = default;
    static void RefreshTaskCallback(lv_task_t *task);
};
} // namespace Screens
} // namespace Applications
} // namespace Pinetime
