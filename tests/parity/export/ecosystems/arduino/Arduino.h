/* As much of the Arduino API as the example sketch uses, over stdio. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

class SerialPort {
  public:
    void begin(unsigned long) {
    }
    void print(const char *text) {
        printf("%s", text);
    }
    void println(const char *text) {
        printf("%s\n", text);
    }
    void println(int value) {
        printf("%d\n", value);
    }
};
extern SerialPort Serial;

void setup();
void loop();

inline void delay(unsigned long) {
}

#endif
