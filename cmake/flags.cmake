# Compiler flags of every target: one interface library for C, one for the single C++ file.
add_library(kx_flags INTERFACE)
target_compile_definitions(
  kx_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64 KX_VERSION="${PROJECT_VERSION}")
target_include_directories(kx_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)

set(warnings
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wformat=2 -Wundef -Wvla
    -Wcast-qual -Wwrite-strings -Wnull-dereference -Wduplicated-cond -Wduplicated-branches
    -Wlogical-op -Wdouble-promotion -Wimplicit-fallthrough=5)
if(KX_WERROR)
  list(APPEND warnings -Werror)
endif()
target_compile_options(
  kx_flags
  INTERFACE ${warnings} $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes;-Wmissing-prototypes>
            -fno-common)

if(CMAKE_SIZEOF_VOID_P EQUAL 4)
  target_compile_definitions(kx_flags INTERFACE _TIME_BITS=64)
endif()

if(KX_SANITIZE)
  target_compile_options(kx_flags INTERFACE -O1 -g -fsanitize=${KX_SANITIZE}
                                            -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(kx_flags INTERFACE -fsanitize=${KX_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
  set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g")
  target_compile_options(
    kx_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong
                       -fstack-clash-protection -ftrivial-auto-var-init=zero)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|i.86")
    target_compile_options(kx_flags INTERFACE -fcf-protection=full)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    target_compile_options(kx_flags INTERFACE -mbranch-protection=standard)
  endif()
  target_link_options(kx_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
endif()
