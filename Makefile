# A thin front for CMake and the scripts. make builds build/ftrun; make install PREFIX=/usr/local installs it.
CONFIGURE = cmake -S . -G Ninja --log-level=WARNING
# more tests than cores: many of them wait, for a server or a killed run
CTEST = ctest -j4 --output-on-failure --progress
PREFIX ?= /usr/local

all: setup
	$(CONFIGURE) -B build -DCMAKE_C_COMPILER=gcc
	cmake --build build

setup:
	.ci/setup

# gcc and clang build with -Werror; the suite runs with sanitizers, then as users get it.
test: all
	$(CONFIGURE) -B build/clang -DCMAKE_C_COMPILER=clang
	cmake --build build/clang
	$(CONFIGURE) -B build/sanitize -DCMAKE_C_COMPILER=clang -DFTRUN_SANITIZE=ON
	cmake --build build/sanitize
	cd build/sanitize && $(CTEST)
	cd build && $(CTEST)

# The long form of the fuzzers: libFuzzer with sanitizers, SECONDS each.
SECONDS ?= 60
fuzz: setup
	$(CONFIGURE) -B build/fuzz -DCMAKE_C_COMPILER=clang -DFTRUN_SANITIZE=ON -DFTRUN_FUZZ=ON
	cmake --build build/fuzz
	tests/fuzz/run.sh build/fuzz/tests $(SECONDS)

demo: setup
	$(CONFIGURE) -B build -DCMAKE_C_COMPILER=gcc
	cmake --build build --target ftrun
	tests/postgres.sh tests/demo.sh build/ftrun

install: all
	cmake --install build --prefix $(PREFIX)

clean:
	rm -rf build

.PHONY: all setup test fuzz demo install clean
