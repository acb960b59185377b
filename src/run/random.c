/*
 * Normal and exponential numbers by the ziggurat (Marsaglia, Tsang 2000): the area under the
 * density, cut into layers of equal area, each a rectangle from 0 to its edge, of which the part up
 * to the next edge lies under the density wholly. A number from there needs no density: 99 of 100.
 * The bottom layer has the tail beyond edge 1, too; its edge 0 is that of a rectangle of the same
 * area.
 */
#include "nilai/run/random.h"

#include <math.h>
#include <string.h>

#define LN2      0.693147180559945309417
#define LN2_HIGH 0x1.62e42fee00000p-1 /* 32 bits: times a small integer it stays exact */
#define LN2_LOW  0x1.a39ef35793c76p-33

void nilai_random_init(struct nilai_random *random, uint64_t seed, uint64_t stream)
{
    uint64_t z = nilai_random_mix(seed + UINT64_C(0x9e3779b97f4a7c15)) ^ (stream << 32);
    for (size_t i = 0; i < NILAI_ARRAY_LEN(random->state); i++)
        random->state[i] = nilai_random_mix(z += UINT64_C(0x9e3779b97f4a7c15));
}

/* ln(m * 2^e) = e ln 2 + 2 atanh((m - 1) / (m + 1)), with m within [1/sqrt 2, sqrt 2]. */
double nilai_random_ln(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    NILAI_ASSERT(bits >= (UINT64_C(1) << 52) && bits < (UINT64_C(0x7ff) << 52));
    double exponent = (double)((int)(bits >> 52) - 1023);
    bits = (bits & ((UINT64_C(1) << 52) - 1)) | (UINT64_C(1023) << 52);
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent += 1;
    }

    static const double inverse_odd[] = {1,        1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,
                                         1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19};
    double s = (m - 1) / (m + 1), z = s * s, series = 0;
    for (size_t i = NILAI_ARRAY_LEN(inverse_odd); i > 0; i--)
        series = series * z + inverse_odd[i - 1];
    return exponent * LN2 + 2 * s * series;
}

/* e^x = 2^n e^r, |r| <= ln 2 / 2, by the Taylor series of e^r. */
double nilai_random_exp(double x)
{
    NILAI_ASSERT(x <= 700);
    if (x < -700)
        return 0;
    double n = rint(x / LN2);
    double r = (x - n * LN2_HIGH) - n * LN2_LOW;
    static const double inverse[] = {1,        1.0 / 2,  1.0 / 3, 1.0 / 4, 1.0 / 5,
                                     1.0 / 6,  1.0 / 7,  1.0 / 8, 1.0 / 9, 1.0 / 10,
                                     1.0 / 11, 1.0 / 12, 1.0 / 13};
    double series = 1;
    for (size_t k = NILAI_ARRAY_LEN(inverse); k > 0; k--)
        series = 1 + series * r * inverse[k - 1];

    uint64_t bits = (uint64_t)((int64_t)n + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return series * power;
}

/* ---- ziggurats ---- */

enum { LAYERS = 128 };

/* The edges follow from the density f: edge 1 is where all areas come out equal, and then
 * f(edge[i + 1]) = f(edge[i]) + area / edge[i]; a test makes sure. */
static const double normal_edges[LAYERS + 1] = {
    3.7130862467403625, 3.442619855896652,   3.2230849845786183,
    3.0832288582142136, 2.9786962526450167,  2.8943440070186703,
    2.823125350545966,  2.7611693723841535,  2.706113573118722,
    2.656406411258192,  2.6109722484286126,  2.5690336259216386,
    2.530009672385466,  2.4934545220919504,  2.4590181774083497,
    2.4264206455302113, 2.395434278007467,   2.3658713701139873,
    2.3375752413355304, 2.310413683695002,   2.2842740596736566,
    2.2590595738653296, 2.234686395587057,   2.2110814088747275,
    2.1881804320720204, 2.1659267937448408,  2.1442701823562613,
    2.12316570866979,   2.102573135184999,   2.082456237987725,
    2.062782274503964,  2.0435215366506703,  2.0246469733729344,
    2.0061338699589673, 1.9879595741230611,  1.9701032608497138,
    1.9525457295488893, 1.9352692282919006,  1.9182573008597323,
    1.9014946531003178, 1.8849670357028696,  1.8686611409895424,
    1.8525645117230873, 1.836665460253384,   1.820952996591005,
    1.8054167642140486, 1.790046982594619,   1.7748343955807693,
    1.759770224894232,  1.7448461281083767,  1.7300541605582438,
    1.7153867407081167, 1.7008366185643011,  1.6863968467734864,
    1.6720607540918524, 1.6578219209482077,  1.6436741568569828,
    1.6296114794646783, 1.615628095037133,   1.601718380215277,
    1.5878768648844008, 1.5740982160167498,  1.5603772223598409,
    1.5467087798535037, 1.5330878776675563,  1.519509584759371,
    1.5059690368565504, 1.4924614237746154,  1.478981976983098,
    1.465525957335795,  1.4520886428822168,  1.4386653166774617,
    1.4252512545068619, 1.4118417124397606,  1.3984319141236068,
    1.3850170377251492, 1.3715922024197327,  1.3581524543224233,
    1.3446927517457135, 1.331207949657677,   1.3176927832013434,
    1.304141850120422,  1.2905495919178736,  1.2769102735517002,
    1.2632179614460288, 1.2494664995643343,  1.2356494832544818,
    1.2217602305309632, 1.2077917504067581,  1.1937367078237726,
    1.1795873846544611, 1.1653356361550473,  1.1509728421389764,
    1.136489852003076,  1.1218769225722545,  1.1071236475235358,
    1.0922188768965542, 1.077150624881938,   1.06190596368362,
    1.0464709007525808, 1.030830236056456,   1.0149673952393001,
    0.9988642334806442, 0.9825008035027611,  0.9658550793881314,
    0.9489026254979128, 0.9316161966013545,  0.9139652510088027,
    0.8959153525662393, 0.8774274290977166,  0.8584568431780517,
    0.8389522142812083, 0.8188539066833185,  0.7980920606262756,
    0.7765839878761491, 0.7542306644345107,  0.730911910621882,
    0.7064796113136088, 0.680747918645905,   0.6534786387150432,
    0.624358597309089,  0.5929629424419789,  0.5586921783755191,
    0.5206560387251462, 0.47743783725378924, 0.4265479863033068,
    0.3628714310284204, 0.272320864704667,   0.0,
};
static const double exponential_edges[LAYERS + 1] = {
    7.898315116615642,   6.898315116615643,   6.135192844501239,
    5.66507246608574,    5.3241823731375,     5.056174148798511,
    4.83498436732484,    4.646421132862483,   4.481902072262685,
    4.335840994085858,   4.204397939328748,   4.084819616805755,
    3.975064441378076,   3.8735764975972344,  3.779142663756102,
    3.6907986930766183,  3.60776540937242,    3.529404126123906,
    3.455184732396477,   3.3846623579615627,  3.317459990569623,
    3.253255311385918,   3.191770576737622,   3.132764737386633,
    3.076027226488978,   3.021373009291723,   2.9686385989038917,
    2.9176788202866746,  2.868364159859743,   2.8205785779150534,
    2.7742176900679,     2.7291872454213144,  2.6854018451368256,
    2.642783857191138,   2.6012624923073595,  2.560773013129438,
    2.521256054197794,   2.482657034573778,   2.444925648337809,
    2.4080154208634457,  2.371883320906367,   2.3364894202629913,
    2.3017965941394136,  2.26777025649707,    2.234378125560768,
    2.2015900154291237,  2.169377650349497,   2.137714498734809,
    2.106575624428295,   2.075937553080335,   2.045778151801815,
    2.0160765205112603,  1.9868128936065141,  1.9579685507727416,
    1.9295257358924416,  1.9014675831544179,  1.8737780495709409,
    1.8464418532086184,  1.8194444165212869,  1.7927718142445657,
    1.7664107253733172,  1.7403483887965316,  1.714572562210305,
    1.6890714839696013,  1.6638338375742092,  1.6388487185144371,
    1.6141056032282153,  1.5895943199438904,  1.565305021202524,
    1.541228157870278,   1.5173544544657918,  1.4936748856395377,
    1.4701806536522064,  1.4468631667073313,  1.4237140179997603,
    1.400724965346268,   1.3778879112676268,  1.3551948833928318,
    1.3326380150558417,  1.3102095259531386,  1.2879017027264508,
    1.265706879329015,   1.2436174170255434,  1.2216256838653294,
    1.1997240334543202,  1.1779047828350693,  1.15616018926268,
    1.1344824256394686,  1.1128635543402412,  1.091295499122688,
    1.0697700147720655,  1.0482786540743547,  1.026812731645223,
    1.0053632840606248,  0.9839210256351723,  0.9624762990719241,
    0.9410190200560914,  0.9195386146776013,  0.898023948333465,
    0.8764632444670789,  0.8548439911302256,  0.8331528328807112,
    0.8113754449219036,  0.7894963856054523,  0.7674989223936101,
    0.7453648250265064,  0.7230741178398851,  0.7006047807539044,
    0.6779323851462482,  0.6550296462514013,  0.6318658673168993,
    0.6084062416121234,  0.584610965138343,   0.5604340933044613,
    0.535822045250434,   0.5107116137288695,  0.4850272656948726,
    0.45867739948996816, 0.43154902203683726, 0.40349995151552626,
    0.37434698742873096, 0.34384718856628405, 0.3116666672586623,
    0.27732506927591455, 0.24008805272382497, 0.19873365552920552,
    0.15095268593687608, 0.09133951810290848, 0.0,
};

/* One number of 64 bits decides the layer, the sign, and (with the upper bits) the place. */
static uint32_t layer_of(uint64_t bits)
{
    return (uint32_t)bits % LAYERS;
}

static double sign_of(uint64_t bits)
{
    return (bits & LAYERS) != 0 ? -1 : 1;
}

/* Between the densities at both edges of the layer, is this point below that at x? */
static bool is_under(struct nilai_random *random, double at_edge, double at_next_edge, double at_x)
{
    return at_edge + nilai_random_uniform(random) * (at_next_edge - at_edge) < at_x;
}

/* From below the decreasing density: a magnitude, and in `bits` what its sign may be taken from.
 * `tail` draws what lies beyond a point. */
static inline __attribute__((always_inline)) double
draw(struct nilai_random *random, const double edges[LAYERS + 1], double (*density)(double x),
     double (*tail)(struct nilai_random *random, double from), uint64_t *bits)
{
    for (;;) {
        *bits = nilai_random_next(random);
        uint32_t layer = layer_of(*bits);
        const double *edge = &edges[layer];
        double x = nilai_random_unit(*bits) * edge[0];
        if (NILAI_LIKELY(x < edge[1]))
            return x;
        if (layer == 0)
            return tail(random, edge[1]);
        if (is_under(random, density(edge[0]), density(edge[1]), density(x)))
            return x;
    }
}

static double exponential_density(double x)
{
    return nilai_random_exp(-x);
}

/* What is beyond a point is as it was before it. */
static double exponential_tail(struct nilai_random *random, double from)
{
    return from - nilai_random_ln(nilai_random_uniform(random));
}

double nilai_random_exponential(struct nilai_random *random)
{
    uint64_t bits;
    return draw(random, exponential_edges, exponential_density, exponential_tail, &bits);
}

static double normal_density(double x)
{
    return nilai_random_exp(-0.5 * x * x);
}

/* Marsaglia 1964. */
static double normal_tail(struct nilai_random *random, double from)
{
    double x, y;
    do {
        x = -nilai_random_ln(nilai_random_uniform(random)) / from;
        y = -nilai_random_ln(nilai_random_uniform(random));
    } while (2 * y < x * x);
    return from + x;
}

double nilai_random_normal(struct nilai_random *random)
{
    uint64_t bits;
    double x = draw(random, normal_edges, normal_density, normal_tail, &bits);
    return sign_of(bits) * x;
}

static double worst_layer(const double edges[LAYERS + 1], double (*density)(double x), double tail)
{
    double area = edges[1] * density(edges[1]) + tail;
    double worst = fabs(edges[0] * density(edges[1]) / area - 1);
    for (int i = 1; i < LAYERS; i++)
        worst =
            fmax(worst, fabs(edges[i] * (density(edges[i + 1]) - density(edges[i])) / area - 1));
    return worst;
}

double nilai_random_unevenness(void)
{
    double normal_rest = sqrt(acos(-1) / 2) * erfc(normal_edges[1] / sqrt(2));
    return fmax(worst_layer(normal_edges, normal_density, normal_rest),
                worst_layer(exponential_edges, exponential_density,
                            exponential_density(exponential_edges[1])));
}

/* ---- the others ---- */

double nilai_random_gamma_around(struct nilai_random *random, double d, double c)
{
    for (;;) {
        double x = nilai_random_normal(random), v = 1 + c * x;
        if (v <= 0)
            continue;
        v = v * v * v;
        double u = nilai_random_uniform(random);
        if (u < 1 - 0.0331 * x * x * x * x
            || nilai_random_ln(u) < 0.5 * x * x + d * (1 - v + nilai_random_ln(v)))
            return d * v;
    }
}

double nilai_random_beta(struct nilai_random *random, double a, double b)
{
    double x = nilai_random_gamma(random, a), y = nilai_random_gamma(random, b);
    return x + y > 0 ? x / (x + y) : 0.5;
}
