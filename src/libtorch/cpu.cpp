// What libtorch.rs asks of libtorch, tch does not bind or lets exceptions out of, and needs no CUDA headers.

#include "message.h"

#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstdlib>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

namespace {

// Rust's lists of tensors are lists of pointers.
std::vector<at::Tensor> list_of(const at::Tensor* const* tensors, size_t count) {
  std::vector<at::Tensor> list;
  list.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    list.push_back(*tensors[i]);
  }
  return list;
}

constexpr at::Float32Op OPERATIONS[] = {at::Float32Op::CONV, at::Float32Op::RNN, at::Float32Op::MATMUL};

} // namespace

extern "C" {

void strandnet_forget(char* message) {
  free(message);
}

// Seeds the random numbers of the CPU, and of all GPUs too if `everywhere`, which starts CUDA.
char* strandnet_seed(int64_t seed, bool everywhere) {
  return message_of([&] {
    if (everywhere) {
      at::manual_seed(static_cast<uint64_t>(seed));
      return;
    }
    at::Generator generator = at::globalContext().defaultGenerator(at::kCPU);
    const std::lock_guard<std::mutex> guard(generator.mutex());
    generator.set_current_seed(static_cast<uint64_t>(seed));
  });
}

// Whether GPUs may round the factors of f32 products to ten bits (TF32). Without a word from us cuDNN does.
char* strandnet_allow_tf32(bool allowed) {
  return message_of([&] {
    const auto precision = allowed ? at::Float32Precision::TF32 : at::Float32Precision::IEEE;
    for (const auto operation : OPERATIONS) {
      at::globalContext().setFloat32Precision(at::Float32Backend::CUDA, operation, precision);
    }
  });
}

bool strandnet_allows_tf32() {
  for (const auto operation : OPERATIONS) {
    if (at::globalContext().float32Precision(at::Float32Backend::CUDA, operation) != at::Float32Precision::IEEE) {
      return true;
    }
  }
  return false;
}


// A step of Adam, or of AdamW if `decoupled`, over lists of `count` tensors each, in one kernel on a GPU. `step` and `lr` are tensors
// of one number, so that a recorded step reads them anew.
char* strandnet_adam(
    bool decoupled,
    const at::Tensor* const* parameters,
    const at::Tensor* const* gradients,
    const at::Tensor* const* first,
    const at::Tensor* const* second,
    size_t count,
    const at::Tensor* step,
    const at::Tensor* lr,
    double beta1,
    double beta2,
    double weight_decay,
    double epsilon) {
  return message_of([&] {
    const std::vector<at::Tensor> steps(count, *step);
    const auto update = [&](auto fused) {
      fused(list_of(parameters, count), list_of(gradients, count), list_of(first, count), list_of(second, count), steps);
    };
    if (decoupled) {
      update([&](const auto& p, const auto& g, const auto& m, const auto& v, const auto& s) {
        at::_fused_adamw_(p, g, m, v, {}, s, *lr, beta1, beta2, weight_decay, epsilon, false, false);
      });
    } else {
      update([&](const auto& p, const auto& g, const auto& m, const auto& v, const auto& s) {
        at::_fused_adam_(p, g, m, v, {}, s, *lr, beta1, beta2, weight_decay, epsilon, false, false);
      });
    }
  });
}

// The same of stochastic gradient descent with momentum.
char* strandnet_sgd(
    const at::Tensor* const* parameters,
    const at::Tensor* const* gradients,
    const at::Tensor* const* velocities,
    size_t count,
    const at::Tensor* lr,
    double momentum,
    bool nesterov,
    double weight_decay) {
  return message_of([&] {
    // Without momentum the kernel takes no velocities.
    const auto of_momentum = list_of(velocities, momentum == 0 ? 0 : count);
    at::_fused_sgd_(
        list_of(parameters, count), list_of(gradients, count), of_momentum, weight_decay, momentum, *lr, 0.0, nesterov,
        false, false);
  });
}


// Adds a method written in TorchScript to a saved module, and hands the module, saved again, to `keep`.
char* strandnet_define(
    const char* module, size_t size, const char* source, void* context, void (*keep)(void*, const char*, size_t)) {
  return message_of([&] {
    std::istringstream in(std::string(module, size));
    torch::jit::Module loaded = torch::jit::load(in);
    loaded.define(source);
    std::ostringstream out;
    loaded.save(out);
    const std::string saved = out.str();
    keep(context, saved.data(), saved.size());
  });
}
}
