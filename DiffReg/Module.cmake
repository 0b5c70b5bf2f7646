#-----------------------------------------------------------------------------
# A scripted module, named after its folder; its files are found anew when one is added or removed
get_filename_component(MODULE_NAME ${CMAKE_CURRENT_SOURCE_DIR} NAME)

file(GLOB_RECURSE MODULE_PYTHON_SCRIPTS
  RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}
  CONFIGURE_DEPENDS
  *.py
  )

file(GLOB_RECURSE MODULE_PYTHON_RESOURCES
  RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}
  CONFIGURE_DEPENDS
  Resources/*.png
  Resources/*.svg
  Resources/*.ui
  )

#-----------------------------------------------------------------------------
slicerMacroBuildScriptedModule(
  NAME ${MODULE_NAME}
  SCRIPTS ${MODULE_PYTHON_SCRIPTS}
  RESOURCES ${MODULE_PYTHON_RESOURCES}
  WITH_GENERIC_TESTS
  )

#-----------------------------------------------------------------------------
if(BUILD_TESTING)

  # The test class of the module, also run at runtime by Reload and Test
  slicer_add_python_unittest(SCRIPT ${MODULE_NAME}.py)

endif()
