/* A sketch that greets and then answers each byte with the next one. */
#define F_CPU 16000000ul
#include <avr/io.h>

static void send(char byte) {
    while (!(UCSR0A & (1 << UDRE0))) {
    }
    UDR0 = byte;
}

int main(void) {
    UCSR0A = 1 << U2X0;
    UBRR0 = F_CPU / 8 / 115200 - 1;
    UCSR0B = 1 << RXEN0 | 1 << TXEN0;
    for (const char *text = "sketch\r\n"; *text; text++) {
        send(*text);
    }
    for (;;) {
        while (!(UCSR0A & (1 << RXC0))) {
        }
        send((char)(UDR0 + 1));
    }
}
