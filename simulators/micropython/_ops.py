# SPDX-License-Identifier: EUPL-1.2
"""The language between the node's replaced modules and its bench (M).

A message is one packet of records; a record is three signed 64-bit words, then its data padded to whole words:

    word 0   virtual time at which the node does this, us
    word 1   operation | device << 8 | length of the data << 16
    word 2   argument

The last record of a message is answered, all before it are posted: applied at their own times, no answer. The
answer is one packet of seven words (then one packet of data, if the operation returns data):

    time_us, horizon_us, levels of all GPIOs (bit mask), value, edges, then_us, levels from then_us on

Before ``horizon_us`` nothing else can happen that the node could notice, so until then it moves its time by itself.
``edges`` holds up to seven bytes 0x80 | GPIO << 1 | level, oldest in the lowest byte.
"""

HEAD_BYTES = 56
WATCHED_EDGES = 7

# answered; SYNC ends early at an edge that has a handler, WAIT does not
SYNC = 1  # argument: until when, us
WAIT = 2  # argument: until when, us (light sleep)
SPI_TRANSFER = 3  # data out, as much data back
UART_STATE = 4  # value: characters received | 1 << 32 while sending
UART_READ = 5  # argument: at most so many; value: how many; data: the argument's length
ADC_READ = 6  # value: uV
ONEWIRE_RESET = 7  # value: 1 if somebody is present
ONEWIRE_READ = 8  # argument: how many bits; value: the bits, first one lowest
RTC_SIZE = 9  # value: bytes of RTC memory in use
RTC_READ = 10  # argument: how many bytes
RANDOM = 11  # argument: how many bytes
FLASH_ERASE = 12  # argument: block
FLASH_PROGRAM = 13  # argument: address; the data follow in a packet of their own
I2C_WRITE = 14  # argument: address | no STOP << 7 | timeout_us << 8; value: see below
I2C_READ = 15  # argument: the same | count << 40; data: the count
# value of both: bytes acknowledged, the address among them | stuck << 16 | us of stretched clock << 17

CONSOLE_READ = (
    21  # argument: the interrupt character, -1 for none; value: characters put into stdin | interrupted << 32
)
SCRATCH_READ = 20  # device: watchdog scratch register of an RP2040; value: its word

CONSOLE_BIT = 60  # in the mask of wired GPIOs: somebody is at the other end of the console

# posted
PIN_MODE = 32  # argument: machine.Pin.IN, OUT or OPEN_DRAIN
PIN_WRITE = 33  # argument: level
PIN_HOLD = 34  # argument: 1 hold, 0 release
PIN_IRQ = 35  # argument: triggers, 0 for none
SPI_WRITE = 36
UART_SETUP = 37  # argument: baud | bits << 32 | (parity + 1) << 40 | stop << 44 | inverted << 46 | rxbuf << 48
UART_WRITE = 38
ONEWIRE_WRITE = 39  # argument: bit
RTC_WRITE = 40
RTC_SET = 41  # argument: the RTC's time now, us since 2000
WDT_START = 42  # argument: timeout, ms
WDT_FEED = 43
HOLD_IN_SLEEP = 44  # argument: 1 if esp32.gpio_deep_sleep_hold is on
HEAP_FREE = 45  # argument: bytes free after a collection
HANDLER_FAILED = 46  # data: the exception of an interrupt handler
SCRATCH_WRITE = 52  # device: register; argument: word
PIN_PULL = 53  # argument: 1 pulled up, 0 not

# the node's last word
DEEP_SLEEP = 64  # argument: ms, 0 without end
RESET = 65
SOFT_RESET = 66
CRASHED = 67  # main ended with an exception; its traceback is on the console
RETURNED = 68  # main came to its end: the board now sits in the REPL
EXITED = 69  # said by the worker: the interpreter is gone
