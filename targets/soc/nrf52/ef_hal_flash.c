/* Flash of Nordic's nRF52: pages of 4 KB, words of 32 bits. A page takes up to 85 ms, in which the
 * core waits. Registers: nRF52840 Product Specification 1.7, chapter NVMC. */
#include "ef_hal.h"
#include "ef_hal_uart.h"

#define NVMC_READY EF_REG32(0x4001E400u)
#define NVMC_CONFIG EF_REG32(0x4001E504u)
#define NVMC_ERASEPAGE EF_REG32(0x4001E508u)
#define CONFIG_READ 0u
#define CONFIG_WRITE 1u
#define CONFIG_ERASE 2u
#define PAGE_WORDS 1024u

static void wait(void) {
    while (NVMC_READY == 0u) {
    }
}

bool ef_hal_flash_erase(uint32_t page) {
    NVMC_CONFIG = CONFIG_ERASE;
    wait();
    NVMC_ERASEPAGE = page;
    wait();
    NVMC_CONFIG = CONFIG_READ;
    wait();
    for (uint32_t word = 0; word < PAGE_WORDS; word++) {
        if (EF_REG32(page + 4u * word) != 0xFFFFFFFFu) {
            return false;
        }
    }
    return true;
}

bool ef_hal_flash_write(uint32_t address, uint32_t word) {
    NVMC_CONFIG = CONFIG_WRITE;
    wait();
    EF_REG32(address) = word;
    wait();
    NVMC_CONFIG = CONFIG_READ;
    wait();
    return EF_REG32(address) == word;
}
