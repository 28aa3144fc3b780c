// Stand-in for InfiniTime's controllers: those that apps of EdgeFlow take.
#pragma once

namespace Pinetime {
namespace Controllers {
class MotionController;
class FS;
} // namespace Controllers

namespace System {
class SystemTask;
}

namespace Applications {
struct AppControllers {
    Pinetime::Controllers::MotionController &motionController;
    Pinetime::System::SystemTask *systemTask;
};
} // namespace Applications
} // namespace Pinetime
