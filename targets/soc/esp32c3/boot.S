/* Direct boot of the ESP32-C3 (silicon revision 3 and later): where the flash begins with this
 * number twice, the ROM maps its first 4 MB and jumps behind the two, to _start.
 * Espressif, esp32c3-direct-boot-example, README. */
    .section .boot, "a"
    .word 0xAEDB041D
    .word 0xAEDB041D
