/* Second stage of the RP2040's start. The ROM copies it from the first 256 bytes of the flash to
 * RAM, checks its CRC and calls it; the firmware begins behind it.
 *
 * It lets the flash (Winbond W25QxxJV) be read in place: fast read in quad mode, whose instruction
 * (0xEB) is sent once, since the mode bits 0xA0 say that the next read goes without. Each read is
 * then 8 clocks of address and mode, 4 of waiting, and the data.
 *
 * RP2040 data sheet, 2.8.1 (start), 4.10 (SSI), 2.19.6.4 (pads); W25Q16JV data sheet, 8.2. */

#define XIP_SSI 0x18000000
#define CTRLR0 0x00
#define CTRLR1 0x04
#define SSIENR 0x08
#define BAUDR 0x14
#define SR 0x28
#define DR0 0x60
#define RX_SAMPLE_DLY 0xF0
#define SPI_CTRLR0 0xF4
#define SR_BUSY_TFE 5 /* busy, transmit FIFO empty */

/* frames of 8 bits, sent and received on one line each */
#define CTRLR0_BYTES (7 << 16)
/* frames of 32 bits on four lines: what is sent is the address, what follows is received */
#define CTRLR0_QUAD ((2 << 21) | (31 << 16) | (3 << 8))

#define ADDRESS_AND_MODE (8 << 2)
#define WAIT (4 << 11)
/* an instruction of 8 bits on one line, the address on four */
#define WITH_INSTRUCTION (ADDRESS_AND_MODE | WAIT | (2 << 8) | 1)
/* no instruction; mode bits behind the address */
#define IN_PLACE ((0xA0 << 24) | ADDRESS_AND_MODE | WAIT | 2)

#define PADS_QSPI 0x40020000
#define PAD_SCLK 0x04 /* SD0 to SD3 follow */
#define PAD_8_MA_FAST ((2 << 4) | 1)
#define PAD_SCHMITT 2

#define WRITE_ENABLE 0x06
#define READ_STATUS_1 0x05
#define READ_STATUS_2 0x35
#define WRITE_STATUS_2 0x31
#define STATUS_1_BUSY 1
#define STATUS_2_QUAD 2

#define VTOR 0xE000ED08
#define FIRMWARE 0x10000100

    .syntax unified
    .cpu cortex-m0plus
    .thumb

    .section .boot, "ax", %progbits
    .global ef_boot2
    .type ef_boot2, %function
ef_boot2:
    ldr r3, =PADS_QSPI
    movs r0, #PAD_8_MA_FAST
    str r0, [r3, #PAD_SCLK]
    ldr r0, [r3, #PAD_SCLK + 4]
    movs r1, #PAD_SCHMITT
    bics r0, r1
    str r0, [r3, #PAD_SCLK + 4]
    str r0, [r3, #PAD_SCLK + 8]
    str r0, [r3, #PAD_SCLK + 12]
    str r0, [r3, #PAD_SCLK + 16]

    ldr r3, =XIP_SSI
    ldr r4, =XIP_SSI + RX_SAMPLE_DLY
    movs r6, #0
    movs r7, #1
    str r6, [r3, #SSIENR]
    movs r0, #2 /* half of the core's clock, at most 66 MHz */
    str r0, [r3, #BAUDR]
    str r7, [r4, #0]

    /* the flash's lines 2 and 3 are write protection and hold until its bit says otherwise */
    ldr r0, =CTRLR0_BYTES
    str r0, [r3, #CTRLR0]
    str r7, [r3, #SSIENR]
    movs r0, #READ_STATUS_2
    bl exchange_two
    movs r5, #STATUS_2_QUAD
    tst r0, r5
    bne 2f
    orrs r5, r0
    movs r0, #WRITE_ENABLE
    str r0, [r3, #DR0]
    bl drain
    ldr r0, [r3, #DR0]
    movs r0, #WRITE_STATUS_2
    mov r1, r5
    bl exchange
1:  movs r0, #READ_STATUS_1
    bl exchange_two
    movs r1, #STATUS_1_BUSY
    tst r0, r1
    bne 1b

    /* one read with the instruction, for its mode bits */
2:  str r6, [r3, #SSIENR]
    ldr r0, =CTRLR0_QUAD
    str r0, [r3, #CTRLR0]
    str r6, [r3, #CTRLR1]
    ldr r0, =WITH_INSTRUCTION
    str r0, [r4, #SPI_CTRLR0 - RX_SAMPLE_DLY]
    str r7, [r3, #SSIENR]
    movs r0, #0xEB
    str r0, [r3, #DR0]
    movs r0, #0xA0
    str r0, [r3, #DR0]
    bl drain

    str r6, [r3, #SSIENR]
    ldr r0, =IN_PLACE
    str r0, [r4, #SPI_CTRLR0 - RX_SAMPLE_DLY]
    str r7, [r3, #SSIENR]

    ldr r0, =FIRMWARE
    ldr r1, =VTOR
    str r0, [r1]
    ldmia r0!, {r1, r2}
    msr msp, r1
    bx r2

    /* send r0 and a zero; the second byte that came is in r0 */
exchange_two:
    movs r1, #0
exchange: /* send r0 and r1 */
    mov r2, lr
    str r0, [r3, #DR0]
    str r1, [r3, #DR0]
    bl drain
    ldr r0, [r3, #DR0]
    ldr r0, [r3, #DR0]
    bx r2

    /* wait until all is sent */
drain:
    ldr r0, [r3, #SR]
    movs r1, #SR_BUSY_TFE
    ands r0, r1
    cmp r0, #4
    bne drain
    bx lr

    .ltorg
    .org 252 /* an error if the code is longer */
    .word 0 /* the CRC, put in when linking */
