// How C++ tells Rust what went wrong: exceptions must not cross into it.
#pragma once

#include <cstring>
#include <exception>

// Nothing if the work was done, else a message that `strandnet_forget` frees.
template <typename Work>
char* message_of(Work work) {
  try {
    work();
    return nullptr;
  } catch (const std::exception& error) {
    return strdup(error.what());
  } catch (...) {
    return strdup("an error without a message");
  }
}
