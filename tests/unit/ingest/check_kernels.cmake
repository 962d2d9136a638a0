# The object built for newer processors (see src/CMakeLists.txt) must not bring a function that
# others could come to call: of functions with the same name the linker keeps one, and on an older
# processor it would end the program. So it defines its table and, beside that, nothing that is
# visible or shared. (DW.ref.*: a pointer for the unwinder, the same in every object.)
execute_process(COMMAND ${NM} --defined-only --extern-only ${OBJECT} OUTPUT_VARIABLE symbols
                COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" lines "${symbols}")
set(table FALSE)
foreach(line IN LISTS lines)
  if(line MATCHES " kx_json_haswell$")
    set(table TRUE)
  elseif(NOT line MATCHES " V DW\\.ref\\.[^ ]+$")
    message(SEND_ERROR "shared with other objects: ${line}")
  endif()
endforeach()
if(NOT table)
  message(FATAL_ERROR "${OBJECT} has no kx_json_haswell: not the object that was meant")
endif()
