// Files that fuzzing starts from: small ones that are right.
#pragma once

#include <string>
#include <vector>

namespace nmlbench::fuzz {

using Seeds = std::vector<std::string>;

Seeds matrix_seeds();
Seeds safetensors_seeds();
Seeds shards_index_seeds();
Seeds state_dict_seeds();
Seeds npy_seeds();         // float [6, 4]
std::string npy_labels();  // of 6 rows
Seeds idx_seeds();         // 3 images of 4 px
std::string idx_labels();
Seeds cifar_seeds();
Seeds tar_seeds();
Seeds matlab_seeds();
Seeds hdf5_seeds();
Seeds image_seeds();
Seeds csv_seeds();
Seeds tsv_seeds();
Seeds json_lines_seeds();
Seeds sentence_seeds();
Seeds vocabulary_seeds();
Seeds vocabulary_json_seeds();
Seeds merges_seeds();
Seeds database_seeds();

}  // namespace nmlbench::fuzz
