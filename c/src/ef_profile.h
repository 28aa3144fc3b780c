/* Markers that the profiler recognises by address. They cost nothing unless EF_PROFILE is set. */
#ifndef EF_PROFILE_H
#define EF_PROFILE_H

#ifdef EF_PROFILE
void a_ef_profile_begin(void); /* before a step */
void a_ef_profile_layer(void); /* after each layer, in order */
void a_ef_profile_end(void);   /* after a step */
#define EF_PROFILE_LAYER() a_ef_profile_layer()
#else
#define EF_PROFILE_LAYER() ((void)0)
#endif

#endif
