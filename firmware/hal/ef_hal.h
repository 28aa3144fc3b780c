/* Functions of a board. One file per UART driver, one per family of cores. */
#ifndef EF_HAL_H
#define EF_HAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Clocks, UART and cycle counter; called once, before any other function. */
void ef_hal_init(void);

/* Wait for a byte. Returns 0..255, or -1 when the input ended (stdio boards only). */
int ef_hal_getc(void);

void ef_hal_write(const uint8_t *data, size_t size);

/* Free-running counter that wraps at 2^32. */
uint32_t ef_hal_cycles(void);

/* Of ef_hal_cycles_hz(): a clock, whose rate says nothing about the core's. */
#define EF_NANOSECONDS 1000000000u

/* Rate of ef_hal_cycles() in Hz; 0 where the board has no counter worth reading. The host takes
 * EF_NANOSECONDS for times, and any other rate for the core's clock. */
uint32_t ef_hal_cycles_hz(void);

/* High-water mark of the stack in bytes since reset; 0 where it is not known. */
uint32_t ef_hal_stack_used(void);

/* Boards with a [gpio] alone: a falling edge on its pin, which rests high and is low for 1 us at
 * least, marks the time for a power monitor. */
void ef_hal_pulse_init(void);
void ef_hal_pulse(void);

/* Boards whose [gpio] has a marker alone: a pin that is high in a step, and, if there are `layers`,
 * one that changes after each layer. Both rest low. */
void ef_hal_marker_init(void);
void ef_hal_marker(int high);
void ef_hal_layer_mark(void);

/* Families that keep in flash what was learned (soc.toml, flash_page): sets a page to 0xFF, and
 * writes an erased word of it. False: the flash failed. What was written is read in place. */
bool ef_hal_flash_erase(uint32_t page);
bool ef_hal_flash_write(uint32_t address, uint32_t word);

#endif
