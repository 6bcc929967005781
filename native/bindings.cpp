// The Python module convlet._native: names, signatures and conversions, no logic.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <tuple>

#include "augmentation.hpp"
#include "transformed.hpp"
#include "optimizers.hpp"
#include "processor.hpp"
#include "stages.hpp"
#include "threads.hpp"
#include "winners.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using convlet::Activation;
using convlet::ActivationName;
using convlet::KernelShape;
using convlet::Loss;
using convlet::MoveTable;
using convlet::NormClip;
using convlet::Plan;
using convlet::TapTable;
using convlet::WeightArrays;

namespace {

using AxisTuple = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;

std::vector<convlet::Axis> axes_from(const std::vector<AxisTuple>& tuples) {
    std::vector<convlet::Axis> axes;
    for (const auto& [size, taps, stride, dilation, begin, outputs] : tuples)
        axes.push_back({size, taps, stride, dilation, begin, outputs});
    return axes;
}

// Addresses of the arrays, null for None; whoever calls keeps them alive.
std::vector<void*> addresses(const nb::list& arrays) {
    std::vector<void*> result;
    for (const nb::handle array : arrays)
        result.push_back(array.is_none()
                             ? nullptr
                             : const_cast<void*>(nb::cast<nb::ndarray<nb::ro>>(array).data()));
    return result;
}

void run(Plan& plan, int64_t first_phase, int64_t last_phase, const nb::list& arrays, int threads) {
    const std::vector<void*> slots = addresses(arrays);
    const nb::gil_scoped_release release;
    plan.run(first_phase, last_phase, slots, threads);
}

std::vector<std::tuple<std::string, double, double>> profile(Plan& plan) {
    std::vector<std::tuple<std::string, double, double>> result;
    for (const auto& stage : plan.take_profile())
        result.emplace_back(stage.name, stage.seconds, stage.operations);
    return result;
}

using IntegerArray = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig>;

std::vector<int32_t> integers_from(const IntegerArray& array) {
    return {array.data(), array.data() + array.size()};
}

KernelShape shape_from(const std::tuple<int64_t, int64_t, int64_t, int64_t>& t) {
    return {std::get<0>(t), std::get<1>(t), std::get<2>(t), std::get<3>(t)};
}
using ShapeTuple = std::tuple<int64_t, int64_t, int64_t, int64_t>;

using TransformTuple = std::tuple<bool, std::vector<int64_t>>;

convlet::Transform transform_from(const TransformTuple& t) {
    return {std::get<0>(t), std::get<1>(t)};
}

Activation activation_from(ActivationName name, const std::vector<float>& parameters) {
    Activation activation{name, {}};
    for (size_t i = 0; i < parameters.size() && i < 3; ++i)
        activation.parameters[i] = parameters[i];
    return activation;
}

float* floats(nb::handle array) {
    return const_cast<float*>(static_cast<const float*>(nb::cast<nb::ndarray<nb::ro>>(array).data()));
}

// A weight's arrays: (value, gradient, decay, average or None, slots), and those to be written:
// (value, average or None, slots).
WeightArrays weight_from(const nb::tuple& before, const nb::tuple& after) {
    WeightArrays a{};
    a.count = static_cast<int64_t>(nb::cast<nb::ndarray<nb::ro>>(before[0]).size());
    a.value = floats(before[0]);
    a.gradient = floats(before[1]);
    a.decay = nb::cast<float>(before[2]);
    a.gradient_scale = 1.0f;
    a.new_value = floats(after[0]);
    if (!before[3].is_none()) {
        a.average = floats(before[3]);
        a.new_average = floats(after[1]);
    }
    const nb::list slots = nb::cast<nb::list>(before[4]), new_slots = nb::cast<nb::list>(after[2]);
    a.slot_count = static_cast<int>(nb::len(slots));
    for (int s = 0; s < a.slot_count && s < convlet::MOST_SLOTS; ++s) {
        a.slots[s] = floats(slots[s]);
        a.new_slots[s] = floats(new_slots[s]);
    }
    return a;
}

std::vector<bool> optimizer_step(const std::string& instruction_set, convlet::Rule rule,
                                 const std::vector<float>& numbers, const nb::list& before,
                                 const nb::list& after, NormClip clip, double largest_norm,
                                 float largest_gradient, float average_momentum,
                                 bool takes_average, int threads) {
    convlet::Step step{rule, {}, largest_gradient, average_momentum, takes_average};
    for (size_t i = 0; i < numbers.size() && i < 6; ++i) step.numbers[i] = numbers[i];
    std::vector<WeightArrays> weights;
    for (size_t i = 0; i < nb::len(before); ++i)
        weights.push_back(weight_from(nb::cast<nb::tuple>(before[i]), nb::cast<nb::tuple>(after[i])));
    const nb::gil_scoped_release release;
    return convlet::optimizer_step(convlet::kernels_of(instruction_set), step, weights, clip,
                                   largest_norm, threads);
}

// --- augmentation ---

using Words = nb::ndarray<const uint32_t, nb::c_contig>;
using Floats = nb::ndarray<const float, nb::c_contig>;
using NewFloats = nb::ndarray<float, nb::c_contig>;
using DrawTuple = std::tuple<uint64_t, uint32_t, uint32_t>;

convlet::Draw draw_from(const DrawTuple& t) {
    return {std::get<0>(t), std::get<1>(t), std::get<2>(t)};
}
convlet::Images images_from(const Words& numbers) {
    return {numbers.data(), static_cast<int64_t>(numbers.size())};
}

void parameter_words(uint64_t seed, uint32_t epoch, const Words& operations, const Words& images,
                     nb::ndarray<uint32_t, nb::c_contig> words,
                     const std::string& instruction_set) {
    convlet::parameter_words(convlet::augmentation_kernels_of(instruction_set), seed, epoch,
                             operations.data(), static_cast<int64_t>(operations.size()),
                             images_from(images), words.data());
}

// Arrays of shape (images, rows, columns, channels); `taps` is empty where there is no field.
void warp(const Floats& x, NewFloats y, const Words& images, const Floats& changes,
          const Floats& taps, const DrawTuple& draw, convlet::FillMode fill_mode, float fill_value,
          bool nearest, const std::string& instruction_set, int threads) {
    const auto& kernels = convlet::augmentation_kernels_of(instruction_set);
    const auto size = [](const auto& array, int axis) {
        return static_cast<int64_t>(array.shape(axis));
    };
    const convlet::WarpShape shape{size(x, 1), size(x, 2), size(x, 3), size(y, 1),
                                   size(y, 2), fill_mode,  fill_value, nearest};
    const int64_t count = static_cast<int64_t>(taps.size());
    const convlet::Smoothing smoothing{count ? taps.data() : nullptr, count / 2};
    const nb::gil_scoped_release release;
    convlet::warp(kernels, shape, smoothing, draw_from(draw), images_from(images), changes.data(),
                  x.data(), y.data(), threads);
}

void add_noise(const Floats& x, NewFloats y, const Words& images, const DrawTuple& draw,
               float stddev, const std::string& instruction_set, int threads) {
    const auto& kernels = convlet::augmentation_kernels_of(instruction_set);
    const int64_t units = static_cast<int64_t>(x.size() / images.size());
    const nb::gil_scoped_release release;
    convlet::add_noise(kernels, draw_from(draw), images_from(images), units, stddev, x.data(),
                       y.data(), threads);
}

// Erases in place.
void erase(NewFloats y, const Words& images, const nb::ndarray<const int32_t, nb::c_contig>& boxes,
           const DrawTuple& draw, bool noise, float value, float scale, float low, float high,
           const std::string& instruction_set, int threads) {
    const auto& kernels = convlet::augmentation_kernels_of(instruction_set);
    const convlet::Erasing erasing{static_cast<int64_t>(y.shape(1)),
                                   static_cast<int64_t>(y.shape(2)),
                                   static_cast<int64_t>(y.shape(3)),
                                   noise, value, scale, low, high};
    const nb::gil_scoped_release release;
    convlet::erase(kernels, erasing, draw_from(draw), images_from(images), boxes.data(), y.data(),
                   threads);
}

void define_augmentation(nb::module_& m) {
    nb::enum_<convlet::FillMode>(m, "FillMode")
        .value("constant", convlet::FillMode::constant)
        .value("nearest", convlet::FillMode::nearest)
        .value("reflect", convlet::FillMode::reflect)
        .value("wrap", convlet::FillMode::wrap);
    m.def("parameter_words", &parameter_words);
    m.def("warp", &warp);
    m.def("add_noise", &add_noise);
    m.def("erase", &erase);
}

void define_stages(nb::module_& m) {
    m.def("load_images", &convlet::load_images);
    m.def("store_images", &convlet::store_images);
    m.def("pack_kernel", [](Plan& plan, std::string name, int slot, const TapTable& table,
                            const ShapeTuple& shape, bool transposed) {
        return convlet::pack_kernel(plan, std::move(name), slot, table, shape_from(shape),
                                    transposed);
    });
    m.def(
        "convolution",
        [](Plan& plan, std::string name, const TapTable& table, const ShapeTuple& shape,
           bool transposed, int weights, int x, int y, int bias, int residual,
           const TapTable* pool, int winner, ActivationName activation, const std::vector<float>& parameters) {
            convlet::convolution(plan, std::move(name), table, shape_from(shape), transposed,
                                 weights, x, y,
                                 {bias, residual, pool, winner,
                                  activation_from(activation, parameters)});
        },
        "plan"_a, "name"_a, "table"_a, "shape"_a, "transposed"_a, "weights"_a, "x"_a, "y"_a,
        "bias"_a = -1, "residual"_a = -1, "pool"_a.none() = nb::none(), "winner"_a = -1,
        "activation"_a = ActivationName::linear, "parameters"_a = std::vector<float>());
    m.def(
        "kernel_gradient",
        [](Plan& plan, std::string name, const TapTable& table, const ShapeTuple& shape, int x,
           int delta, int gradient, bool whole_batch, bool local, const TapTable* unpool,
           int winner) {
            convlet::kernel_gradient(plan, std::move(name), table, shape_from(shape), x, delta,
                                     gradient, whole_batch, local, unpool, winner);
        },
        "plan"_a, "name"_a, "table"_a, "shape"_a, "x"_a, "delta"_a, "gradient"_a, "whole_batch"_a,
        "local"_a, "unpool"_a.none() = nb::none(), "winner"_a = -1);
    m.def("transformed_kernel",
          [](Plan& plan, std::string name, int slot, const TapTable& table,
             const TransformTuple& transform, const ShapeTuple& shape, bool transposed) {
              return convlet::transformed_kernel(plan, std::move(name), slot, table,
                                                 transform_from(transform), shape_from(shape),
                                                 transposed);
          });
    m.def(
        "transformed_convolution",
        [](Plan& plan, std::string name, const TapTable& table, const TransformTuple& transform,
           const ShapeTuple& shape, bool transposed, int weights, int x, int y, int bias,
           int residual, ActivationName activation, const std::vector<float>& parameters) {
            convlet::transformed_convolution(plan, std::move(name), table,
                                             transform_from(transform), shape_from(shape),
                                             transposed, weights, x, y, bias, residual,
                                             activation_from(activation, parameters));
        },
        "plan"_a, "name"_a, "table"_a, "transform"_a, "shape"_a, "transposed"_a, "weights"_a,
        "x"_a, "y"_a, "bias"_a = -1, "residual"_a = -1,
        "activation"_a = ActivationName::linear, "parameters"_a = std::vector<float>());
    m.def("transformed_kernel_gradient",
          [](Plan& plan, std::string name, const TapTable& table, const TransformTuple& transform,
             const ShapeTuple& shape, int x, int delta, int gradient) {
              convlet::transformed_kernel_gradient(plan, std::move(name), table,
                                                   transform_from(transform), shape_from(shape), x,
                                                   delta, gradient);
          });
    m.def("pack_lines", [](Plan& plan, std::string name, int slot, const TapTable& table,
                           const ShapeTuple& shape) {
        return convlet::pack_lines(plan, std::move(name), slot, table, shape_from(shape));
    });
    m.def("winner_kernel_gradient",
          [](Plan& plan, std::string name, const TapTable& table, const TapTable& pool,
             const ShapeTuple& shape, int x, int delta, int winner, int gradient) {
              convlet::winner_kernel_gradient(plan, std::move(name), table, pool,
                                              shape_from(shape), x, delta, winner, gradient);
          });
    m.def("winner_input_gradient",
          [](Plan& plan, std::string name, const TapTable& table, const TapTable& pool,
             const ShapeTuple& shape, int weights, int delta, int winner, int x_delta) {
              convlet::winner_input_gradient(plan, std::move(name), table, pool,
                                             shape_from(shape), weights, delta, winner, x_delta);
          });
    m.def("local_convolution",
          [](Plan& plan, std::string name, const TapTable& table, const ShapeTuple& shape,
             int kernel_slot, int x, int y) {
              convlet::local_convolution(plan, std::move(name), table, shape_from(shape),
                                         kernel_slot, x, y);
          });
    m.def("local_input_gradient",
          [](Plan& plan, std::string name, const TapTable& table, const ShapeTuple& shape,
             int kernel_slot, int delta, int x_delta) {
              convlet::local_input_gradient(plan, std::move(name), table, shape_from(shape),
                                            kernel_slot, delta, x_delta);
          });
    m.def("bias_gradient", &convlet::bias_gradient);
    m.def("max_pool", &convlet::max_pool);
    m.def("max_pool_gradient", &convlet::max_pool_gradient);
    m.def("average_pool", &convlet::average_pool);
    m.def("average_pool_gradient", &convlet::average_pool_gradient);
    m.def("sum_pool", &convlet::sum_pool);
    m.def("sum_pool_gradient", &convlet::sum_pool_gradient);
    m.def("l2_pool", &convlet::l2_pool);
    m.def("l2_pool_gradient", &convlet::l2_pool_gradient);
    m.def("log_sum_exp_pool", &convlet::log_sum_exp_pool);
    m.def("log_sum_exp_pool_gradient", &convlet::log_sum_exp_pool_gradient);
    m.def("stochastic_pool", &convlet::stochastic_pool);
    m.def("stochastic_pool_mean", &convlet::stochastic_pool_mean);
    m.def("stochastic_pool_mean_gradient", &convlet::stochastic_pool_mean_gradient);
    m.def("activation", [](Plan& plan, std::string name, ActivationName function,
                           const std::vector<float>& parameters, int x, int y, int64_t size) {
        convlet::activation(plan, std::move(name), activation_from(function, parameters), x, y,
                            size);
    });
    m.def("activation_gradient",
          [](Plan& plan, std::string name, ActivationName function,
             const std::vector<float>& parameters, int delta, int known, int x_delta,
             int64_t size) {
              convlet::activation_gradient(plan, std::move(name),
                                           activation_from(function, parameters), delta, known,
                                           x_delta, size);
          });
    m.def("softmax", &convlet::softmax);
    m.def("softmax_gradient", &convlet::softmax_gradient);
    m.def("loss", [](Plan& plan, std::string name, Loss loss, bool from_logits, float smoothing,
                     int prediction, int targets, int weights, int values, int delta,
                     int64_t positions, int64_t channels) {
        convlet::loss(plan, std::move(name), {loss, from_logits, smoothing}, prediction, targets,
                      weights, values, delta, positions, channels);
    });
    m.def("add_bias", &convlet::add_bias);
    m.def("add", &convlet::add);
    m.def("multiply", &convlet::multiply);
    m.def("extremum", &convlet::extremum);
    m.def("extremum_gradient", &convlet::extremum_gradient);
    m.def("copy_runs", &convlet::copy_runs);
    m.def("take", &convlet::take);
    m.def("rescale", &convlet::rescale);
    m.def("scale", &convlet::scale);
    m.def("scale_gradient", &convlet::scale_gradient);
    m.def("block_moments", &convlet::block_moments);
    m.def("channel_moments", &convlet::channel_moments);
    m.def("block_gradient_sums", &convlet::block_gradient_sums);
    m.def("normalization_sums", &convlet::normalization_sums);
    m.def("normalization_coefficients", &convlet::normalization_coefficients);
    m.def(
        "normalize",
        [](Plan& plan, std::string name, int coefficients, int x, int y, int64_t positions,
           int64_t channels, int residual, ActivationName activation,
           const std::vector<float>& parameters) {
            convlet::normalize(plan, std::move(name), coefficients, x, y, positions, channels,
                               residual, activation_from(activation, parameters));
        },
        "plan"_a, "name"_a, "coefficients"_a, "x"_a, "y"_a, "positions"_a, "channels"_a,
        "residual"_a = -1, "activation"_a = ActivationName::linear,
        "parameters"_a = std::vector<float>());
    m.def("batch_normalize_gradient_coefficients",
          &convlet::batch_normalize_gradient_coefficients);
    m.def("batch_normalize_gradient", &convlet::batch_normalize_gradient);
    m.def("standardize", [](Plan& plan, std::string name, int64_t outer, int64_t sets,
                            int64_t inner, float epsilon, int x, int y) {
        convlet::standardize(plan, std::move(name), {outer, sets, inner}, epsilon, x, y);
    });
    m.def("standardize_gradient",
          [](Plan& plan, std::string name, int64_t outer, int64_t sets, int64_t inner,
             float epsilon, int delta, int x, int x_delta) {
              convlet::standardize_gradient(plan, std::move(name), {outer, sets, inner}, epsilon,
                                            delta, x, x_delta);
          });
    m.def("local_response_normalization",
          [](Plan& plan, std::string name, int64_t radius, float bias, float alpha, float beta,
             int x, int y, int64_t positions, int64_t channels) {
              convlet::local_response_normalization(plan, std::move(name),
                                                    {radius, bias, alpha, beta}, x, y, positions,
                                                    channels);
          });
    m.def("local_response_normalization_gradient",
          [](Plan& plan, std::string name, int64_t radius, float bias, float alpha, float beta,
             int delta, int x, int x_delta, int64_t positions, int64_t channels) {
              convlet::local_response_normalization_gradient(plan, std::move(name),
                                                             {radius, bias, alpha, beta}, delta, x,
                                                             x_delta, positions, channels);
          });
    m.def("dropout", &convlet::dropout);
    m.def("spatial_dropout", &convlet::spatial_dropout);
    m.def("gaussian_noise", &convlet::gaussian_noise);
    m.def("clear", &convlet::clear);
    m.def("add_up", &convlet::add_up);
}

// A change that Python sources and core must make together, of a name or of arguments, counts this
// up here and in convlet/config.py, so that a core that is older than the sources is told by it.
constexpr int INTERFACE = 2;

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "convlet's C++ core";
    m.attr("version") = CONVLET_VERSION;
    m.attr("interface") = INTERFACE;
    m.attr("compiler") = __VERSION__;
    m.def("available_instruction_sets", &convlet::available_instruction_sets,
          "Instruction sets that this machine can run, worst first.");
    m.def("best_instruction_set", &convlet::best_instruction_set,
          "The best instruction set that this machine can run.");
    m.def(
        "register_width",
        [](const std::string& instruction_set) {
            return convlet::kernels_of(instruction_set).width;
        },
        "instruction_set"_a, "Floats in a register.");
    m.def("usable_processors", &convlet::usable_processors,
          "Processors that this process may use.");
    nb::enum_<convlet::Rule>(m, "Rule")
        .value("descent", convlet::Rule::descent)
        .value("adam", convlet::Rule::adam)
        .value("adamax", convlet::Rule::adamax)
        .value("nadam", convlet::Rule::nadam)
        .value("rmsprop", convlet::Rule::rmsprop)
        .value("adagrad", convlet::Rule::adagrad)
        .value("adadelta", convlet::Rule::adadelta)
        .value("lion", convlet::Rule::lion);
    nb::enum_<NormClip>(m, "NormClip")
        .value("none", NormClip::none)
        .value("each", NormClip::each)
        .value("all", NormClip::all);
    m.def("optimizer_step", &optimizer_step, "instruction_set"_a, "rule"_a, "numbers"_a,
          "before"_a, "after"_a, "clip"_a, "largest_norm"_a, "largest_gradient"_a,
          "average_momentum"_a, "takes_average"_a, "threads"_a,
          "An optimizer's step for lists of weights; tells of each whether it is finite.");

    nb::enum_<ActivationName>(m, "Activation")
        .value("linear", ActivationName::linear)
        .value("relu", ActivationName::relu)
        .value("relu6", ActivationName::relu6)
        .value("leaky_relu", ActivationName::leaky_relu)
        .value("elu", ActivationName::elu)
        .value("selu", ActivationName::selu)
        .value("tanh", ActivationName::tanh)
        .value("sigmoid", ActivationName::sigmoid)
        .value("hard_sigmoid", ActivationName::hard_sigmoid)
        .value("softplus", ActivationName::softplus)
        .value("softsign", ActivationName::softsign)
        .value("exponential", ActivationName::exponential)
        .value("silu", ActivationName::silu)
        .value("gelu", ActivationName::gelu)
        .value("mish", ActivationName::mish)
        .value("rectifier", ActivationName::rectifier);
    nb::enum_<Loss>(m, "Loss")
        .value("squared_error", Loss::squared_error)
        .value("binary_crossentropy", Loss::binary_crossentropy)
        .value("categorical_crossentropy", Loss::categorical_crossentropy)
        .value("sparse_categorical_crossentropy", Loss::sparse_categorical_crossentropy);

    nb::class_<TapTable>(m, "TapTable")
        .def("__init__", [](TapTable* table, const std::vector<AxisTuple>& axes) {
            new (table) TapTable(axes_from(axes));
        });
    nb::class_<MoveTable>(m, "Moves")
        .def("__init__", [](MoveTable* table, const IntegerArray& first,
                            const IntegerArray& first_source, const IntegerArray& source) {
            new (table) MoveTable(integers_from(first), integers_from(first_source),
                                  integers_from(source));
        });
    nb::class_<Plan>(m, "Plan")
        .def(nb::init<const std::string&, int64_t, int64_t>(), "instruction_set"_a, "images"_a,
             "lanes"_a)
        .def("add_buffer", &Plan::add_buffer, "bytes"_a, "shared"_a, "offset"_a)
        .def("add_gradient", &Plan::add_gradient, "size"_a, "result"_a, "sharded"_a)
        .def("release_memory", &Plan::release_memory, "memory"_a)
        .def("begin_phase", &Plan::begin_phase, "together"_a)
        .def("run", &run, "first_phase"_a, "last_phase"_a, "slots"_a, "threads"_a)
        .def("set_profiling", &Plan::set_profiling, "on"_a)
        .def("take_profile", &profile)
        .def("stages", &Plan::stages,
             "Of each stage its phase, whether that is done together, name, operations.")
        .def("memory", &Plan::memory_bytes,
             "Bytes of shared buffers, of each thread, of packed kernels and sums.")
        .def_prop_ro("lanes", &Plan::lanes)
        .def_prop_ro("instruction_set",
                     [](const Plan& plan) { return plan.kernels().instruction_set; })
        .def_prop_ro("blocks", &Plan::blocks)
        .def_prop_ro("shards", &Plan::shards)
        .def_prop_ro("bytes", &Plan::bytes);
    define_stages(m);
    define_augmentation(m);
}
