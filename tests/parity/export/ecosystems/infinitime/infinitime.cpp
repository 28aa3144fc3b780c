// The stand-in watch: motion values from the standard input, int16 x, y, z, every 102 ticks (about
// 100 ms), a refresh every 20 ms; prints the texts that the app shows.
#include <cstdarg>
#include <cstdio>

#include <task.h>

#include "displayapp/screens/GaitApp.h"

using namespace Pinetime;

struct lv_obj {
    int unused;
};

namespace {
TickType_t ticks;
lv_obj_t object;
lv_task_t theTask;
} // namespace

TickType_t xTaskGetTickCount() {
    return ticks;
}

void Applications::Screens::Screen::RefreshTaskCallback(lv_task_t *task) {
    static_cast<Screen *>(task->user_data)->Refresh();
}

lv_obj_t *lv_scr_act() {
    return &object;
}

lv_obj_t *lv_label_create(lv_obj_t * /*parent*/, const lv_obj_t * /*copy*/) {
    return &object;
}

void lv_label_set_text_static(lv_obj_t * /*label*/, const char *text) {
    puts(text);
}

void lv_label_set_text_fmt(lv_obj_t * /*label*/, const char *fmt, ...) {
    va_list values;
    va_start(values, fmt);
    vprintf(fmt, values);
    va_end(values);
    puts("");
}

void lv_obj_align(lv_obj_t * /*obj*/, const lv_obj_t * /*base*/, lv_align_t /*align*/,
                  lv_coord_t /*x*/, lv_coord_t /*y*/) {
}

void lv_obj_clean(lv_obj_t * /*obj*/) {
}

lv_task_t *lv_task_create(lv_task_cb_t task, uint32_t period, lv_task_prio_t /*prio*/,
                          void *user_data) {
    theTask = {task, user_data, period};
    return &theTask;
}

void lv_task_del(lv_task_t *task) {
    task->task_cb = nullptr;
}

int main() {
    Controllers::MotionController motion;
    System::SystemTask system;
    Applications::AppControllers controllers{motion, &system};
    int16_t values[3];
    auto *app = Applications::AppTraits<Applications::Apps::GaitApp>::Create(controllers);
    while (fread(values, sizeof values, 1, stdin) == 1) {
        motion.Update(values[0], values[1], values[2]);
        for (int tick = 0; tick < 102; tick++, ticks++) {
            if (ticks % 20 == 0) {
                theTask.task_cb(&theTask);
            }
        }
    }
    const bool awake = system.locks == 1;
    delete app;
    return awake && system.locks == 0 && theTask.task_cb == nullptr ? 0 : 1;
}
