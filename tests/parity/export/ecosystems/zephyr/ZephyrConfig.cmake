# What a Zephyr module and its sample call, as Zephyr 3.7's cmake/modules define it, without a kernel:
# modules are read from ZEPHYR_EXTRA_MODULES, their symbols must be in their Kconfig, and the
# application is linked with the whole of their libraries.
project(Zephyr-Kernel LANGUAGES C ASM)
set(CMAKE_ASM_FLAGS "${CMAKE_ASM_FLAGS} ${CMAKE_C_FLAGS}")

add_executable(app "")
add_library(zephyr_interface INTERFACE)
target_link_libraries(app PRIVATE zephyr_interface)

macro(zephyr_library_named name)
    set(ZEPHYR_CURRENT_LIBRARY ${name})
    add_library(${name} STATIC "")
    target_link_libraries(${name} PRIVATE zephyr_interface)
    target_link_libraries(app PRIVATE -Wl,--whole-archive ${name} -Wl,--no-whole-archive)
endmacro()

function(zephyr_library_sources)
    target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()

function(zephyr_include_directories)
    target_include_directories(zephyr_interface INTERFACE ${ARGN})
endfunction()

function(module_value key text result)
    if(NOT text MATCHES "(^|\n) *${key}: ([^\n]+)")
        message(FATAL_ERROR "module.yml: no ${key}")
    endif()
    set(${result} ${CMAKE_MATCH_2} PARENT_SCOPE)
endfunction()

file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/prj.conf configuration)
foreach(module ${ZEPHYR_EXTRA_MODULES})
    file(READ ${module}/zephyr/module.yml text)
    module_value(name "${text}" name)
    module_value(cmake "${text}" cmake)
    module_value(kconfig "${text}" kconfig)
    file(READ ${module}/${kconfig} symbols)
    foreach(line ${configuration})
        string(REGEX REPLACE "^CONFIG_([A-Z0-9_]+)=y$" "\\1" symbol "${line}")
        if(NOT symbols MATCHES "\nconfig ${symbol}\n\tbool ")
            message(FATAL_ERROR "prj.conf: '${line}' is no symbol of ${module}/${kconfig}")
        endif()
        set(CONFIG_${symbol} y)
    endforeach()
    add_subdirectory(${module}/${cmake} ${CMAKE_BINARY_DIR}/modules/${name})
endforeach()
