// Stand-in for InfiniTime's motion controller.
#pragma once

#include <cstdint>

namespace Pinetime {
namespace Controllers {
class MotionController {
  public:
    void Update(int16_t newX, int16_t newY, int16_t newZ) {
        x = newX;
        y = newY;
        z = newZ;
    }

    int16_t X() const {
        return x;
    }

    int16_t Y() const {
        return y;
    }

    int16_t Z() const {
        return z;
    }

  private:
    int16_t x = 0, y = 0, z = 0;
};
} // namespace Controllers
} // namespace Pinetime
