// A board around the RTL of a RISC-V core: memories of one cycle, a 16550 on an inherited socket,
// and the PLIC's claim register.
//
//     machine FIRMWARE.ELF FD UART:IRQ BASE:SIZE...
//
// FD is the serial port; the machine ends when its other side is closed. UART and IRQ are the
// 16550's address and interrupt, BASE:SIZE are memories. The clock runs as fast as it is simulated,
// and stands still while the core sleeps.
#include "Vmachine.h"
#include "verilated.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <fstream>
#include <iterator>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace {

// As in targets/soc/riscv.
constexpr uint32_t PLIC = 0x0C000000u, PLIC_SIZE = 0x00400000u, PLIC_CLAIM = 0x0C200004u;
// A core starts at 0x80 after its boot address; the code there jumps to the image.
constexpr uint32_t BOOT = 0x1000u, BOOT_CODE = BOOT + 0x80u;
constexpr unsigned LINE_CONTROL = 3, LINE_STATUS = 5;
constexpr uint8_t DIVISOR = 0x80, SENT = 0x60, READY = 0x01;
constexpr uint64_t POLL = 1u << 12; // cycles between looks at the serial port
constexpr size_t CHUNK = 4096;      // bytes

[[noreturn]] void fail(const std::string &text) {
    fprintf(stderr, "rtl: %s\n", text.c_str());
    exit(1);
}

struct Memory {
    uint32_t base;
    std::vector<uint8_t> bytes;
};

std::vector<Memory> memories;

// The aligned word at an address; nullptr where there is no memory.
uint8_t *word_at(uint32_t address) {
    for (Memory &memory : memories) {
        uint32_t offset = (address & ~3u) - memory.base;
        if (offset < memory.bytes.size()) {
            return &memory.bytes[offset];
        }
    }
    return nullptr;
}

uint32_t load(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

// Copy the segments of an ELF file to their load addresses; return where it starts.
uint32_t read_image(const char *path) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<uint8_t> bytes(std::istreambuf_iterator<char>(file), {});
    Elf32_Ehdr header;
    if (bytes.size() < sizeof header) {
        fail(std::string(path) + ": cannot be read");
    }
    memcpy(&header, bytes.data(), sizeof header);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_machine != EM_RISCV) {
        fail(std::string(path) + ": no image for a 32-bit RISC-V core");
    }
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf32_Phdr segment;
        uint64_t at = header.e_phoff + uint64_t{i} * sizeof segment;
        if (at + sizeof segment > bytes.size()) {
            fail(std::string(path) + ": cut short");
        }
        memcpy(&segment, bytes.data() + at, sizeof segment);
        if (segment.p_type != PT_LOAD) {
            continue;
        }
        if (uint64_t{segment.p_offset} + segment.p_filesz > bytes.size()) {
            fail(std::string(path) + ": cut short");
        }
        for (uint32_t n = 0; n < segment.p_filesz; n++) {
            uint32_t address = segment.p_paddr + n;
            uint8_t *word = word_at(address);
            if (word == nullptr) {
                fail(std::string(path) + ": a section is outside of the board's memories");
            }
            word[address & 3] = bytes[segment.p_offset + n];
        }
    }
    return header.e_entry;
}

class Serial {
  public:
    explicit Serial(int fd) : fd_(fd) {
    }

    bool readable() const {
        return next_ < received_.size();
    }

    uint8_t take() {
        return readable() ? received_[next_++] : 0;
    }

    void send(uint8_t byte) {
        output_.push_back(byte);
        if (output_.size() >= CHUNK) {
            flush();
        }
    }

    // Exchange what there is with the host; a core that sleeps waits for it.
    void look(bool wait) {
        flush();
        if (readable()) {
            return;
        }
        pollfd one = {fd_, POLLIN, 0};
        if (poll(&one, 1, wait ? -1 : 0) <= 0) {
            return;
        }
        received_.resize(CHUNK);
        ssize_t size = recv(fd_, received_.data(), CHUNK, 0);
        if (size <= 0) {
            exit(0); // the host closed the line
        }
        received_.resize(static_cast<size_t>(size));
        next_ = 0;
    }

  private:
    void flush() {
        for (size_t sent = 0; sent < output_.size();) {
            ssize_t size = ::send(fd_, output_.data() + sent, output_.size() - sent, MSG_NOSIGNAL);
            if (size > 0) {
                sent += static_cast<size_t>(size);
            } else if (errno == EAGAIN) {
                pollfd one = {fd_, POLLOUT, 0};
                poll(&one, 1, -1);
            } else if (errno != EINTR) {
                exit(0);
            }
        }
        output_.clear();
    }

    int fd_;
    std::vector<uint8_t> received_, output_;
    size_t next_ = 0;
};

// The devices, by words as the bus has them; false where there is none.
class Devices {
  public:
    Devices(Serial &serial, uint32_t uart, uint32_t irq) : serial_(serial), uart_(uart), irq_(irq) {
    }

    bool access(uint32_t address, bool write, uint32_t enabled, uint32_t value, uint32_t &result) {
        result = 0;
        if ((address & ~7u) == uart_) {
            for (unsigned lane = 0; lane < 4; lane++) {
                if (!(enabled >> lane & 1)) {
                    continue;
                }
                unsigned number = (address & 4) + lane;
                if (write) {
                    set(number, static_cast<uint8_t>(value >> 8 * lane));
                } else {
                    result |= uint32_t{get(number)} << 8 * lane;
                }
            }
            return true;
        }
        if (address == PLIC_CLAIM && !write) {
            result = irq_;
        }
        return address - PLIC < PLIC_SIZE;
    }

  private:
    uint8_t get(unsigned number) {
        if (number == LINE_STATUS) {
            return SENT | (serial_.readable() ? READY : 0);
        }
        return number == 0 && !(line_control_ & DIVISOR) ? serial_.take() : 0;
    }

    void set(unsigned number, uint8_t value) {
        if (number == LINE_CONTROL) {
            line_control_ = value;
        } else if (number == 0 && !(line_control_ & DIVISOR)) {
            serial_.send(value);
        }
    }

    Serial &serial_;
    uint32_t uart_, irq_;
    uint8_t line_control_ = 0;
};

[[noreturn]] void run(Vmachine &core, Serial &serial, Devices &devices) {
    bool fetching = false, accessing = false, refused = false;
    uint32_t fetched = 0, result = 0;
    core.boot_addr_i = BOOT;
    for (uint64_t cycle = 0;; cycle++) {
        // A clock gate has to see reset fall and the clock run before: 1, 0, 1.
        core.rst_ni = cycle < 2 || cycle >= 8;
        core.instr_rvalid_i = fetching;
        if (fetching) {
            const uint8_t *word = word_at(fetched);
            core.instr_rdata_i = word == nullptr ? 0 : load(word);
            core.instr_err_i = word == nullptr;
        }
        core.data_rvalid_i = accessing;
        core.data_rdata_i = result;
        core.data_err_i = refused;
        core.irq_i = serial.readable();
        core.clk_i = 0;
        core.eval();
        fetching = core.instr_req_o;
        fetched = core.instr_addr_o;
        accessing = core.data_req_o;
        if (accessing) {
            const uint32_t address = core.data_addr_o & ~3u;
            const bool write = core.data_we_o;
            refused = false;
            if (uint8_t *word = word_at(address)) {
                result = load(word);
                for (unsigned lane = 0; write && lane < 4; lane++) {
                    if (core.data_be_o >> lane & 1) {
                        word[lane] = static_cast<uint8_t>(core.data_wdata_o >> 8 * lane);
                    }
                }
            } else {
                refused =
                    !devices.access(address, write, core.data_be_o, core.data_wdata_o, result);
            }
        }
        core.clk_i = 1;
        core.eval();
        if (core.sleep_o || cycle % POLL == 0) {
            serial.look(core.sleep_o && cycle >= 8);
        }
    }
}

// Read A:B.
std::pair<uint32_t, size_t> read_pair(const char *text) {
    char *rest;
    const auto first = static_cast<uint32_t>(strtoul(text, &rest, 0));
    if (*rest != ':') {
        fail(std::string(text) + ": not two numbers");
    }
    return {first, strtoul(rest + 1, nullptr, 0)};
}

} // namespace

int main(int count, char **arguments) {
    if (count < 5) {
        fail("usage: machine FIRMWARE.ELF FD UART:IRQ BASE:SIZE...");
    }
    for (int i = 4; i < count; i++) {
        const auto [base, size] = read_pair(arguments[i]);
        memories.push_back({base, std::vector<uint8_t>(size & ~size_t{3})});
    }
    memories.push_back({BOOT, std::vector<uint8_t>(256)});
    const uint32_t start = read_image(arguments[1]);
    // csrw mcountinhibit, zero (some cores come up with their counters stopped); lui t0, high;
    // addi t0, t0, low; jr t0
    const uint32_t low = start & 0xFFFu, high = (start + 0x800u) & ~0xFFFu;
    const uint32_t code[] = {0x32005073u, high | 0x2B7u, low << 20 | 0x28293u, 0x28067u};
    memcpy(word_at(BOOT_CODE), code, sizeof code);
    Vmachine core;
    Serial serial(atoi(arguments[2]));
    const auto [uart, irq] = read_pair(arguments[3]);
    Devices devices(serial, uart, static_cast<uint32_t>(irq));
    run(core, serial, devices);
}
