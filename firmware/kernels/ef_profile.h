/* Markers that the profiler recognises by address. They cost nothing unless EF_PROFILE is set. */
#ifndef EF_PROFILE_H
#define EF_PROFILE_H

#ifdef EF_PROFILE
void ef_profile_begin(void); /* before a step */
void ef_profile_layer(void); /* after each layer, in order */
void ef_profile_end(void);   /* after a step */
#define EF_PROFILE_LAYER() ef_profile_layer()
#else
#define EF_PROFILE_LAYER() ((void)0)
#endif

#endif
